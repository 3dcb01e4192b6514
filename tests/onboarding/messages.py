"""Every message of pages and e-mails, found where it is written: templates, code that marks its sentences, and data that is said."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import console
import onboarding
import pages
from pages.layout import environment
from pages.problems import PROBLEMS
from relay.alerts import texts
from relay.core.consent import refusals as refusal_tables
from relay.core.showing import diagnosis
from relay.graph import errors
from relay.http.paths import ONBOARDING
from relay.locale import languages

PAGES = tuple(Path(package.__file__ or "").parent for package in (pages, onboarding, console))
LOCALE = Path(languages.__file__).parent
ALERTS = Path(texts.__file__).parent
Message = str | tuple[str, str]
"""One text, or what is said of one thing and of many."""
_MARKS = {"english": 1, "ngettext": 2}
"""Function -> how many of its arguments are texts."""


def written() -> dict[Message, str]:
    """Message -> one place where it is written."""
    found: dict[Message, str] = {}
    for path in sorted(path for root in PAGES for path in root.glob("templates/**/*.html")):
        found |= dict.fromkeys(_of_template(path.read_text()), path.name)
    for path in sorted([*(path for root in PAGES for path in root.glob("**/*.py")), *ALERTS.glob("*.py")]):
        found |= dict.fromkeys(_of_code(path.read_text()), path.name)
    for problem in PROBLEMS.values():
        parts = filter(None, (problem.title, problem.text, problem.remedy))
        found |= dict.fromkeys(parts, "problems.py")
    found |= dict.fromkeys(sorted(sentences()), "relay/core/consent/refusals.py")
    said = Path(inspect.getfile(diagnosis))
    found |= dict.fromkeys(_of_code(said.read_text(), {"Remark": 1}), said.name)
    return found | dict.fromkeys(diagnosis.sentences(), said.name)


def sentences() -> set[str]:
    """What the relay says of refusals, whoever shows it."""
    tables = (refusal_tables._BY_NUMBER, refusal_tables._BY_SUBERROR, refusal_tables._BY_ERROR)
    refusals = [refusal for table in tables for refusal in table.values()]
    return {refusal.sentence for refusal in (*refusals, refusal_tables._UNKNOWN)} | {errors._ACCESS_REFUSED}


def translated() -> list[dict[str, object]]:
    """Every table of the locale's files, as it stands, with the file's name under `file`."""
    tables: list[dict[str, object]] = []
    for path in sorted(LOCALE.glob("*.toml")):
        tables += [{**table, "file": path.name} for table in tomllib.loads(path.read_text())["message"]]
    return tables


def places(text: str) -> list[str]:
    """What a translation must keep: what is filled in, and the markup."""
    return sorted(re.findall(r"%\(\w+\)s|%(?!\()|</?\w+[^>]*>", text))


def _of_template(source: str) -> Iterator[Message]:
    for _, _, message in environment(ONBOARDING, "onboarding").extract_translations(source):  # type: ignore[attr-defined]
        parts = [text for text in message if text is not None] if isinstance(message, tuple) else [message]
        yield (parts[0], parts[1]) if len(parts) > 1 else parts[0]


def _of_code(source: str, marks: Mapping[str, int] = _MARKS) -> Iterator[Message]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in marks:
            parts = [ast.literal_eval(argument) for argument in node.args[: marks[node.func.id]]]
            yield (parts[0], parts[1]) if len(parts) > 1 else parts[0]
