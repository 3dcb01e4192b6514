"""The table of keys has a row for each key, and Redis users that are made of it can do no more and no less."""

from __future__ import annotations

import inspect
import re

from relay.core.presence import TenantId, UserId
from relay.store.server import acl, keys, layout
from relay.store.server.layout import FAMILIES, Client

TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
GIVEN = {"partition": 7, "tenant_id": TENANT, "account_id": UserId("aaaaaaaa-0000-4000-8000-000000000001")}


def named() -> dict[str, str]:
    """Function of keys.py -> a key that it names."""
    found = {
        name.lower(): value.decode()
        for name, value in vars(keys).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, bytes)
    }
    for name, function in inspect.getmembers(keys, inspect.isfunction):
        if function.__module__ != keys.__name__ or name.startswith("_") or name.endswith("_prefix"):
            continue
        if inspect.signature(function).return_annotation != "bytes":
            continue
        wanted = inspect.signature(function).parameters
        given = {**GIVEN, "route_id": keys.new_route(TENANT)}
        found[name] = function(*(given.get(one, "0123456789abcdef") for one in wanted)).decode()
    return found


def test_every_key_has_a_row() -> None:
    assert named().keys() == FAMILIES.keys()


def test_every_key_is_of_its_own_family_and_of_no_other() -> None:
    for name, key in named().items():
        fitting = {one for one, family in FAMILIES.items() if _glob(family.pattern).fullmatch(key)}
        assert fitting == {name}, key
        assert layout.family_of(key) == name


def test_nobody_but_pages_and_operator_writes_a_suite_key_or_reads_a_flow() -> None:
    def who(family: str, right: str) -> set[Client]:
        return {client for client, rights in FAMILIES[family].rights.items() if right in rights}

    assert who("suite_key", "w") == {Client.WEB, Client.OPERATOR}
    assert who("flow", "r") == {Client.WEB, Client.CONSOLE, Client.OPERATOR}
    assert who("grant", "r") == {Client.WORKER, Client.WEB, Client.CONSOLE, Client.OPERATOR}
    assert who("grant", "w") == {Client.WORKER, Client.WEB, Client.OPERATOR}


def test_no_role_has_a_command_that_reaches_beyond_its_keys() -> None:
    wide = re.compile(
        r"flush|keys$|^config|^debug|^acl\|(?!whoami)|^eval$|^exec$|^scan$|^info$|^sort|shutdown|script\|(?!load)"
    )
    for client in set(Client) - {Client.OPERATOR}:
        commands = acl.rules([client]).commands
        assert not [command for command in commands if wide.search(command) and command != "hkeys"]


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"?": ".", "*": ".*"}.get(one, re.escape(one)) for one in pattern))
