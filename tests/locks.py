"""Compares what the locks pin with a database of known vulnerabilities: `python -m tests.locks`, a part of `make check`.

    no known vulnerability          said, 0
    a known vulnerability           named with the versions that mend it, 1; unless requirements/ignored.toml has it, with a reason
                                    and a day that has not come yet
    the database does not answer    said plainly, 0: a check that fails without a network would be switched off

`pip-audit` asks; nothing is installed or resolved, because the locks have a hash for everything.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements" / "dev.txt"
"""It has everything that relay.txt has."""
IGNORED: Final = ROOT / "requirements" / "ignored.toml"
_TIMEOUT_S: Final = 180.0
"""For all questions together; one may take `_SOCKET_S`."""
_SOCKET_S: Final = 10
_UNREACHABLE: Final = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|Timeout|ServiceError|HTTPError|ProxyError|SSLError|JSONDecodeError"
)


class Unreachable(Exception):
    """Nobody says whether there are vulnerabilities."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One that a pinned version has."""

    package: str
    ids: tuple[str, ...]
    """Its id and its other names."""
    fixed_in: tuple[str, ...]

    @property
    def text(self) -> str:
        """A line for people."""
        remedy = f"fixed in {', '.join(self.fixed_in)}: make lock" if self.fixed_in else "no version mends it yet"
        return f"{self.package}: {' '.join(self.ids)}; {remedy}"


@dataclass(frozen=True, slots=True)
class Ignored:
    """One that is passed over for a while."""

    id: str
    reason: str
    until: date


def ignored(path: Path) -> list[Ignored]:
    """What is passed over. Raises ValueError for an entry without a reason or a day."""
    entries = tomllib.loads(path.read_text()).get("ignored", [])
    for entry in entries:
        if not (entry.get("id") and str(entry.get("reason", "")).strip() and type(entry.get("until")) is date):
            raise ValueError(f"{path.name}: {entry.get('id', 'an entry')} needs an id, a reason and a day (until)")
    return [Ignored(entry["id"], entry["reason"], entry["until"]) for entry in entries]


def found(lock: Path, osv_url: str | None, timeout_s: float) -> tuple[int, list[Vulnerability]]:
    """How many packages a lock pins, and the vulnerabilities that they have.

    Raises:
        Unreachable: the database does not answer.
        RuntimeError: pip-audit itself failed.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off", "--desc", "off"]
    command += ["--timeout", str(_SOCKET_S), *(["--osv-url", osv_url] if osv_url else [])]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer within {timeout_s:g} s") from None
    try:
        answered: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (ended.stderr.strip().splitlines() or ["nothing said"])[-1]
        if _UNREACHABLE.search(ended.stderr):
            raise Unreachable(last.partition(":")[0].rpartition(".")[2]) from None
        raise RuntimeError(last) from None
    return len(answered), [
        Vulnerability(
            f"{package['name']} {package['version']}",
            (one["id"], *one.get("aliases", ())),
            tuple(one.get("fix_versions", ())),
        )
        for package in answered
        for one in package.get("vulns", ())
    ]


def main(arguments: list[str] | None = None) -> int:
    """Look, and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--ignored", type=Path, default=IGNORED)
    parser.add_argument("--osv-url", help="another database that speaks as OSV does")
    parser.add_argument("--timeout", type=float, default=_TIMEOUT_S, help="seconds")
    given = parser.parse_args(arguments)
    try:
        passed = ignored(given.ignored)
        packages, vulnerabilities = found(given.lock, given.osv_url, given.timeout)
    except Unreachable as error:
        _say(f"The locks were NOT compared with known vulnerabilities: the database does not answer ({error}).")
        return 0
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"The locks cannot be compared with known vulnerabilities: {error}\n")
        return 1
    return _told(packages, vulnerabilities, passed)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _told(packages: int, vulnerabilities: list[Vulnerability], passed: list[Ignored]) -> int:
    today, wrong = datetime.now(UTC).date(), 0
    by_id = {one.id: one for one in passed}
    for vulnerability in vulnerabilities:
        why = next((by_id[name] for name in vulnerability.ids if name in by_id), None)
        if why is not None and today <= why.until:
            _say(f"ignored until {why.until}: {vulnerability.text} ({why.reason})")
            continue
        over = "" if why is None else f"; was ignored until {why.until}: look at it again ({why.reason})"
        sys.stderr.write(f"VULNERABLE: {vulnerability.text}{over}\n")
        wrong += 1
    known = {name for vulnerability in vulnerabilities for name in vulnerability.ids}
    for one in passed:
        if one.id not in known:
            _say(f"{one.id} is ignored and no pinned version has it: take it out of {IGNORED.name}")
    if not wrong:
        _say(f"{packages} pinned packages, none with a known vulnerability that is not ignored with a reason.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
