"""`presence-relay redis-acl`: what it prints is taken by a real server, and each user is what `check --role` wants it to be."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from click.testing import Result
from redis import Redis
from redis.exceptions import AuthenticationError
from typer.testing import CliRunner

from relay.cli import app
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import FAMILIES, Client
from relay.store.server.user_rights import RightsDifference
from tests.support.valkey import ValkeyServer

PASSWORD = "correct-horse-battery-staple-" * 2


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["redis-acl", *arguments])


def printed(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return file


def permits_of(url: str, *clients: Client, vault_url: str | None = None) -> list[RightsDifference | None]:
    async def ask() -> list[RightsDifference | None]:
        async with Store(StoreSettings(url=url, vault_url=vault_url)) as store:
            assert await store.preflight() == []
            return [found for _, found in await store.compare_rights(clients)]

    return asyncio.run(ask())


def url(server: ValkeyServer, user: str) -> str:
    return server.url.replace("://", f"://{user}:{PASSWORD}@")


def tell(server: ValkeyServer, *lines: str) -> list[bytes]:
    """Send lines as `redis-cli` does that reads them."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        answers = []
        for line in lines:
            connection.sendall(line.encode() + b"\r\n")
            answers.append(connection.recv(4000))
        return answers


@pytest.mark.long
def test_a_servers_aclfile_made_of_each_roles_line_lets_each_in_with_its_rights_and_nobody_else(
    tmp_path: Path, password_file: Path
) -> None:
    lines = [printed(client, "--aclfile", "--password-file", str(password_file)) for client in Client]
    assert PASSWORD not in "".join(lines)
    users = tmp_path / "users.acl"
    users.write_text("user default off\n" + "".join(lines))
    with LockedServer(tmp_path, aclfile=str(users)) as server:
        with Redis(port=server.port) as anybody, pytest.raises(AuthenticationError):
            anybody.ping()
        for client in Client:
            assert permits_of(url(server, f"relay-{client}"), client) == [RightsDifference((), ())]


@pytest.mark.long
def test_a_running_server_takes_users_and_an_updates_rights_are_added_without_taking_any(
    tmp_path: Path, password_file: Path
) -> None:
    with ValkeyServer(tmp_path) as server:
        made = printed("webhook", "--password-file", str(password_file))
        assert PASSWORD not in made
        assert tell(server, made.strip()) == [b"+OK\r\n"]
        assert permits_of(url(server, "relay-webhook"), Client.WEBHOOK) == [RightsDifference((), ())]
        added = printed("edge", "--add", "--user", "relay-webhook")
        assert tell(server, added.strip()) == [b"+OK\r\n"]
        both = url(server, "relay-webhook")
        assert permits_of(both, Client.WEBHOOK, Client.EDGE) == [RightsDifference((), ())]
        [more] = permits_of(both, Client.WEBHOOK)
        assert more is not None
        assert "read suite_key" in more.more
        again = printed("webhook")  # without a password: the one that is there stays
        assert tell(server, again.strip()) == [b"+OK\r\n"]
        assert permits_of(both, Client.WEBHOOK) == [RightsDifference((), ())]


@pytest.mark.long
def test_a_vault_of_its_own_has_users_of_its_own(tmp_path: Path, password_file: Path) -> None:
    for side in ("presence", "vault"):
        (tmp_path / side).mkdir()
    with ValkeyServer(tmp_path / "presence") as presence, ValkeyServer(tmp_path / "vault") as vault:
        for server, side in ((presence, "presence"), (vault, "vault")):
            for client in Client:
                line = printed(client, "--server", side, "--password-file", str(password_file))
                assert tell(server, line.strip()) == [b"+OK\r\n"]
        for client in Client:
            user = f"relay-{client}"
            found = permits_of(url(presence, user), client, vault_url=url(vault, user))
            assert found == [RightsDifference((), ()), RightsDifference((), ())]


def test_the_table_has_every_family(tmp_path: Path) -> None:
    table = printed("--table")
    assert [family.pattern for family in FAMILIES.values() if f"| `{family.pattern}` |" not in table] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name roles"),
        (("cook",), "Name roles"),
        (("edge", "--server", "both-of-them"), "--server is both, presence or vault"),
        (("edge", "--aclfile", "--add"), "--add is for a running server"),
        (("edge", "--user", "two words"), "a name has no spaces"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], said: str) -> None:
    result = call(*arguments)
    assert (result.exit_code, said in result.output) == (2, True)


def test_a_short_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    result = call("edge", "--password-file", str(file))
    assert (result.exit_code, "has 7 characters" in result.output, "hunter2" in result.output) == (2, True, False)


def test_without_a_password_file_a_placeholder_is_printed_that_no_server_loads(tmp_path: Path) -> None:
    assert "#SHA256-OF-PASSWORD" in printed("edge", "--aclfile")
    users = tmp_path / "users.acl"
    users.write_text(printed("edge", "--aclfile"))
    with pytest.raises(RuntimeError, match="valkey did not start"):
        ValkeyServer(tmp_path, aclfile=str(users)).start()


class LockedServer(ValkeyServer):
    """A server whose users come from its aclfile alone."""

    def _make_users(self) -> None:
        pass

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"-NOAUTH"
        except OSError:
            return False
