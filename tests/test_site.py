"""The documentation: each page has its place, what it lists is what the code has, and each command in it exists."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import posixpath
import re
import subprocess
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import relay.cli
import suite.cli
from bench.commands import BENCHMARKS
from deploy.site import assemble
from tests.references import log_events
from tests.support.documents import DOCUMENTS, ROOT, blocks, commands


def test_every_event_that_is_logged_is_explained_and_no_other():
    explained = Counter(event for events in log_events.catalogue().values() for event in events)
    logged = Counter(log_events.logged().keys())
    assert (logged - explained, explained - logged) == ({}, {}), "relay/ops/log_events.toml"


def test_every_link_in_the_site_leads_to_a_file_of_the_site():
    site = assemble.site()
    assert {"index.md", "operate/security.md", "reference/settings.md", "develop/architecture.md"} <= site.keys()
    for place, text in site.items():
        if isinstance(text, str):
            prose = re.sub(r"^```.*?^ *```$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
            links = [link for link in re.findall(r"\]\(([^)#\s]+)", prose) if "://" not in link]
            targets = [posixpath.normpath(posixpath.join(posixpath.dirname(place), link)) for link in links]
            assert [target for target in targets if target not in site] == [], place


def _names(document: Path) -> str:
    return str(document.relative_to(ROOT))


@cache
def _programs() -> dict[str, Any]:
    """Return the commands of both programs, which Typer makes anew whenever it is asked."""
    apps = {"presence-relay": relay.cli.app, "presence-suite": suite.cli.app}
    return {name: typer.main.get_command(app) for name, app in apps.items()}


def _faults_of_typer(words: list[str]) -> list[str]:
    """Return what a command line names that a program does not have."""
    command = _programs()[words[0]]
    rest = words[1 : words.index("--") if "--" in words else None]  # what follows is another program's
    while rest and getattr(command, "commands", None) and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return [f"no command {rest[0]}"]
        command = command.commands[rest.pop(0)]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    known |= {"--help", "--install-completion"}
    return [f"no option {word}" for word in rest if word.startswith("--") and word.partition("=")[0] not in known]


def _faults_of_make(words: list[str], makefile: str) -> list[str]:
    """Return the targets and variables of a command line that the Makefile does not have."""
    return [
        f"no {word}"
        for word in (word for word in words[1:] if not word.startswith("-"))
        if not re.search(
            rf"^{re.escape(word.partition('=')[0])}(?::| \?=)|\$\({word.partition('=')[0]}\)", makefile, re.MULTILINE
        )
    ]


def _faults_of_python(words: list[str]) -> list[str]:
    """Return what a `python -m` names that there is not; of a benchmark its options too."""
    if words[1:2] != ["-m"] or words[2].partition(".")[0] not in {"bench", "tests", "deploy", "emulator"}:
        return []
    if importlib.util.find_spec(words[2]) is None:
        return [f"no module {words[2]}"]
    if words[2] != "bench" or len(words) == 3 or words[3] == "NAME":
        return []
    bench = next((each for each in BENCHMARKS if each.name == words[3]), None)
    if bench is None:
        return [f"no benchmark {words[3]}"]
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    return [f"no option {word}" for word in words[4:] if word.startswith("--") and word not in known]


@pytest.mark.parametrize("document", DOCUMENTS, ids=_names)
def test_each_command_in_a_document_exists_with_its_options(document: Path):
    makefile = (ROOT / "Makefile").read_text()
    faults = []
    for words in commands(document.read_text()):
        match words[0]:
            case "presence-relay" | "presence-suite":
                found = _faults_of_typer(words)
            case "make":
                found = _faults_of_make(words, makefile)
            case _:
                found = _faults_of_python(words)
        faults += [f"{' '.join(words)}: {fault}" for fault in found]
    assert faults == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_names)
def test_each_example_in_a_document_can_be_read(document: Path):
    shell = []
    for block in blocks(document.read_text()):
        match block.language:
            case "json":
                json.loads(block.text)
            case "toml":
                tomllib.loads(block.text)
            case "yaml":
                list(yaml.safe_load_all(block.text))
            case "python":
                compile(block.text, str(document), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            case "sh":
                shell.append(block.text)
    if shell:
        read = subprocess.run(["bash", "-n"], input="\n".join(shell), capture_output=True, text=True, check=False)
        assert read.stderr == ""


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each.name != "CHANGELOG.md"], ids=_names)
def test_each_setting_that_a_document_names_exists(document: Path):
    known = set(re.findall(r"^\| `(RELAY_\w+)`", (ROOT / "docs/reference/settings.md").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bRELAY_[A-Z0-9_]+\b(?!…)", document.read_text()))
    assert [name for name in sorted(named) if name not in known and name.removesuffix("_FILE") not in known] == []


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each.name != "CHANGELOG.md"], ids=_names)
def test_each_metric_that_a_document_names_is_exported(document: Path):
    known = set(re.findall(r"`(\w+)`", (ROOT / "docs/reference/metrics.md").read_text())) | log_events.logged().keys()
    assert set(re.findall(r"`(relay_\w+)`", document.read_text())) - known == set()


def test_commands_in_documents_are_found():
    found = Counter(words[0] for document in DOCUMENTS for words in commands(document.read_text()))
    assert found["presence-relay"] > 100
    assert min(found[program] for program in ("make", "python", "presence-suite")) > 10
