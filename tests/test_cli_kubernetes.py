"""Commands that the Helm chart's Jobs run: a key ring kept in a Secret, and a folder of backups."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from typer.testing import CliRunner

from relay.cli import app
from relay.commands.backup_folder import file_for, superseded
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import PublicMarks

TOKEN = "token-of-the-pod"


class KubernetesApi:
    """Kubernetes' API as far as Secrets are made: over TLS, for one token, each name once."""

    def __init__(self, folder) -> None:
        self.secrets: dict[str, dict[str, str]] = {}
        self.refusal: tuple[int, bytes] | None = None
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, reply = api.answer(self.path, self.headers["Authorization"], body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.account = folder / "account"
        self.account.mkdir()
        authority.cert_pem.write_to_path(str(self.account / "ca.crt"))
        (self.account / "token").write_text(f"{TOKEN}\n")
        (self.account / "namespace").write_text("telephony")

    def answer(self, path: str, authorization: str, body: dict) -> tuple[int, bytes]:
        if self.refusal is not None:
            return self.refusal
        if (path, authorization) != ("/api/v1/namespaces/telephony/secrets", f"Bearer {TOKEN}"):
            return 401, b'{"message": "Unauthorized"}'
        name = body["metadata"]["name"]
        if name in self.secrets:
            return 409, b'{"message": "already exists"}'
        self.secrets[name] = {key: base64.b64decode(text).decode() for key, text in body["data"].items()}
        return 201, b"{}"

    def call(self, *arguments: str):
        address = f"https://localhost:{self.server.server_address[1]}"
        command = ["keyring", "new-secret", *arguments, "--api", address, "--account", str(self.account)]
        return CliRunner().invoke(app, command)


@pytest.fixture
def api(tmp_path):
    kubernetes = KubernetesApi(tmp_path)
    thread = threading.Thread(target=kubernetes.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield kubernetes
    kubernetes.server.shutdown()
    thread.join()
    kubernetes.server.server_close()


def test_a_key_ring_is_kept_in_a_secret_with_its_public_keys(api):
    result = api.call("relay-key-ring")
    assert (result.exit_code, "Keep a copy" in result.output) == (0, True)
    secret = api.secrets["relay-key-ring"]
    ring = KeyRing.from_json(secret["key-ring.json"])
    PublicMarks(secret["key-ring.json.pub"])
    assert ring.keys[0].kid in secret["key-ring.json.pub"]
    assert secret["key-ring.json"].strip() not in result.output


def test_a_secret_that_is_there_stays_as_it_is(api):
    api.call("relay-key-ring")
    before = dict(api.secrets["relay-key-ring"])
    result = api.call("relay-key-ring")
    assert (result.exit_code, "stays unchanged" in result.output) == (0, True)
    assert api.secrets["relay-key-ring"] == before


def test_the_keys_in_the_secret_may_have_other_names(api):
    api.call("ring", "--ring-key", "a", "--public-key", "b")
    assert api.secrets["ring"].keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((403, b'{"message": "secrets is forbidden"}'), "secrets is forbidden"),
        ((403, b'{"message": "exceeded quota: secrets=10"}'), "exceeded quota"),
        ((500, b"<html>"), "HTTP 500"),
    ],
)
def test_a_refusal_of_kubernetes_is_told_in_its_words(api, refusal, said):
    api.refusal = refusal
    result = api.call("relay-key-ring")
    assert (result.exit_code, said in result.output, len(result.output.splitlines())) == (1, True, 1)


def test_outside_a_pod_the_command_says_where_it_works(tmp_path):
    result = CliRunner().invoke(app, ["keyring", "new-secret", "ring", "--account", str(tmp_path / "none")])
    assert (result.exit_code, "in a pod of Kubernetes" in result.output) == (1, True)


def test_an_api_that_does_not_answer_is_told(api):
    api.server.socket.close()
    result = CliRunner().invoke(
        app, ["keyring", "new-secret", "ring", "--api", "https://localhost:1", "--account", str(api.account)]
    )
    assert (result.exit_code, "does not answer" in result.output) == (1, True)


def test_a_folder_keeps_the_newest_backups_and_whatever_else_is_in_it(tmp_path):
    files = [file_for(tmp_path, datetime(2026, 11, day, 2, 17, tzinfo=UTC)) for day in (1, 2, 3, 9, 10)]
    for path in (*files, tmp_path / "notes.txt", tmp_path / "old.backup"):
        path.touch()
    assert superseded(tmp_path, 2) == files[:3]
    assert superseded(tmp_path, 9) == []


def test_keep_is_refused_for_a_file(tmp_path):
    key = tmp_path / "backup.key.pub"
    result = CliRunner().invoke(app, ["backup", "create", str(tmp_path / "a.backup"), "--key", str(key), "--keep", "2"])
    assert (result.exit_code, "--keep needs a folder" in result.output) == (2, True)
