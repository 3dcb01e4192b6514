"""`make check` compares the locks with known vulnerabilities, asked at a database of our own here."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import locks
from tests.support.valkey import free_port

NAME, VERSION = "idna", "3.4"
VULNERABILITY = {
    "id": "PYSEC-0000-1",
    "aliases": ["CVE-0000-1"],
    "details": "no more than an example",
    "affected": [
        {
            "package": {"name": NAME, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
        }
    ],
}
Answer = Callable[[dict[str, object]], tuple[int, bytes] | None]


class Database:
    """A database that answers as it is told, or hangs."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _question: (200, b"{}")
        self.asked: list[str] = []
        self.over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(question["package"]["name"])
                said = outer.answer(question)
                if said is None:
                    outer.over.wait(60)
                    return
                status, body = said
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/query"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.fixture
def audit(tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Audit a lock with one package; gives the exit code and all that was said."""
    (tmp_path / "lock.txt").write_text(f"{NAME}=={VERSION} \\\n    --hash=sha256:{64 * '0'}\n")

    def run(passed: str = "", url: str = "", timeout: float = 60) -> tuple[int, str]:
        (tmp_path / "ignored.toml").write_text(passed)
        files = ["--lock", str(tmp_path / "lock.txt"), "--ignored", str(tmp_path / "ignored.toml")]
        code = locks.main([*files, "--osv-url", url or database.url, "--timeout", str(timeout)])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def vulnerable(_question: dict[str, object]) -> tuple[int, bytes]:
    return 200, json.dumps({"vulns": [VULNERABILITY]}).encode()


def passed_over(until: str, reason: str = "it concerns nobody") -> str:
    return f'[[ignored]]\nid = "CVE-0000-1"\nreason = "{reason}"\nuntil = {until}\n'


def test_locks_without_known_vulnerabilities_pass(audit, database: Database):
    code, said = audit()
    assert (code, "1 pinned packages, none with a known vulnerability" in said) == (0, True)
    assert database.asked == [NAME]


def test_a_known_vulnerability_fails_and_says_what_mends_it(audit, database: Database):
    database.answer = vulnerable
    code, said = audit()
    assert code == 1
    assert "VULNERABLE: idna 3.4: PYSEC-0000-1 CVE-0000-1; fixed in 3.7: make lock" in said


def test_a_database_that_is_not_there_is_said_and_fails_nothing(audit):
    code, said = audit(url=f"http://127.0.0.1:{free_port()}/v1/query")
    assert code == 0
    assert "NOT compared with known vulnerabilities: the database does not answer" in said


@pytest.mark.parametrize("answer", [(500, b"{}"), (403, b"no"), (200, b"<html>a portal</html>")])
def test_a_database_that_answers_something_else_counts_as_none(audit, database: Database, answer: tuple[int, bytes]):
    database.answer = lambda _question: answer
    code, said = audit()
    assert (code, "NOT compared" in said) == (0, True)


def test_a_database_that_hangs_is_not_waited_for_long(audit, database: Database):
    database.answer = lambda _question: None
    code, said = audit(timeout=3)
    assert (code, "no answer within 3 s" in said) == (0, True)


def test_what_is_ignored_has_a_reason_and_a_day_after_which_it_fails(audit, database: Database):
    database.answer = vulnerable
    code, said = audit(passed_over("2999-01-01"))
    assert (code, "ignored until 2999-01-01: idna 3.4" in said, "it concerns nobody" in said) == (0, True, True)
    code, said = audit(passed_over("2020-01-01"))
    assert (code, "was ignored until 2020-01-01: look at it again" in said) == (1, True)
    code, said = audit(passed_over("2999-01-01", reason=" "))
    assert (code, "needs an id, a reason and a day" in said) == (1, True)
    database.answer = lambda _question: (200, b"{}")
    code, said = audit(passed_over("2999-01-01"))
    assert (code, "CVE-0000-1 is ignored and no pinned version has it" in said) == (0, True)


def test_a_lock_that_cannot_be_read_fails(audit, tmp_path: Path):
    (tmp_path / "lock.txt").write_text("idna\n")
    code, said = audit()
    assert (code, "cannot be compared" in said) == (1, True)
