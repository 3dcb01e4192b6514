"""The project about itself: what is written in two places is the same in both, and nothing is of one machine only."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import references

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SUITE = tomllib.loads((ROOT / "suite" / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [need for need in PROJECT["dependencies"] if Requirement(need).name != SUITE["name"]] + SUITE[
    "dependencies"
]
"""Of both distributions; the locks leave out the one that is in this repository."""


def pins(name: str) -> dict[str, Version]:
    """Package -> the version that a lock says."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in found}


def test_the_locks_satisfy_what_the_project_asks_for():
    everything = [
        *DEPENDENCIES,
        *(need for extra in PROJECT["optional-dependencies"].values() for need in extra),
    ]
    running = [*DEPENDENCIES, *PROJECT["optional-dependencies"]["dev"]]
    for lock, needs in (("relay.txt", DEPENDENCIES), ("run.txt", running), ("dev.txt", everything)):
        pinned = pins(lock)
        for requirement in map(Requirement, needs):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version is not None, f"{lock} lacks {requirement.name}: run make lock"
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{lock}: {requirement.name}: run make lock"
            )


@pytest.mark.parametrize(("part", "whole"), [("relay.txt", "run.txt"), ("run.txt", "dev.txt")])
def test_what_is_developed_with_is_what_is_shipped(part, whole):
    developed = pins(whole)
    assert {name: developed.get(name) for name in pins(part)} == pins(part)


def test_running_installs_nothing_that_only_tests_need():
    assert pins("run.txt").keys() & {"msgraph-sdk", "playwright", "pytest", "mypy", "ruff", "psutil"} == set()
    assert len(pins("run.txt")) < len(pins("relay.txt")) + 10


def test_both_distributions_have_one_version_and_one_license():
    [need] = [Requirement(each) for each in PROJECT["dependencies"] if Requirement(each).name == SUITE["name"]]
    assert (SUITE["version"], str(need.specifier)) == (PROJECT["version"], f"=={PROJECT['version']}")
    assert (ROOT / "suite" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert pins("dev.txt").keys() & {SUITE["name"], PROJECT["name"]} == set()


def test_every_pin_of_the_locks_has_a_hash():
    for lock in ("relay.txt", "run.txt", "dev.txt", "docs.txt", "phones.txt", "proxies.txt"):
        text = (ROOT / "requirements" / lock).read_text()
        entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries)
        assert "http" not in re.sub(r"^[A-Za-z0-9_.-]+==", "", text, flags=re.MULTILINE).replace("sha256:", "")


@pytest.mark.parametrize(("file", "text"), references.pages().items(), ids=lambda value: getattr(value, "name", ""))
def test_the_generated_pages_are_as_the_code_is(file, text):
    assert file.read_text() == text, "run make docs"


def test_the_architecture_says_why_each_dependency_is_there():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    needs = [*PROJECT["dependencies"], *(need for extra in PROJECT["optional-dependencies"].values() for need in extra)]
    missing = [name for name in (Requirement(need).name for need in needs) if f"`{name}`" not in text]
    assert missing == []


DECISIONS = ROOT / "docs/develop/decisions"


def test_each_decision_has_the_next_number_and_a_line_in_the_index():
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == [*range(1, len(pages) + 1)]
    index = (DECISIONS / "README.md").read_text()
    for page in pages:
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        assert index.count(f"- [{title}]({page.name})\n") == 1, page.name


def test_each_decision_has_a_date_and_the_five_parts_and_names_files_that_exist():
    parts = ["Context", "Decision", "Alternatives considered", "Consequences", "Code and tests"]
    for page in sorted(DECISIONS.glob("[0-9]*.md")):
        text = page.read_text()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d · \w.*", text.split("\n")[2]), page.name
        assert re.findall(r"^\*\*([^*]+)\.\*\*", text, flags=re.MULTILINE) == parts, page.name
        named = re.findall(r"`((?:relay|pages|onboarding|console|suite|emulator|deploy|tests|protos)/[\w./-]+)`", text)
        assert [name for name in named if not (ROOT / name).exists()] == [], page.name


def _defined_names() -> set[str]:
    """Return `function`, `Class`, `Class.method` and `module.function` of the relay and the pages, and its scripts."""
    names: set[str] = set()
    for path in [
        *(ROOT / "relay").rglob("*.py"),
        *(ROOT / "pages").rglob("*.py"),
        *(ROOT / "onboarding").rglob("*.py"),
        *(ROOT / "console").rglob("*.py"),
    ]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names |= {node.name, f"{path.stem}.{node.name}"}
            if isinstance(node, ast.ClassDef):
                methods = (one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
                names |= {name for method in methods for name in (method, f"{node.name}.{method}")}
    return names | {path.name for path in (ROOT / "relay").rglob("*.lua")}


@pytest.mark.parametrize("page", sorted((ROOT / "docs/develop").glob("one-*.md")), ids=lambda page: page.stem)
def test_each_function_on_the_way_of_one_thing_exists(page: Path):
    _, way, _ = re.split(r"^## .*\n", page.read_text(), maxsplit=2, flags=re.MULTILINE)
    rows = [row.split("|") for row in way.splitlines() if row.startswith("| ")][2:]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row[2])}
    assert len(named) > 10
    assert named - _defined_names() == set()


@pytest.mark.parametrize(
    "document",
    [
        *ROOT.glob("*.md"),
        *(ROOT / "suite").glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_between_documents_lead_somewhere(document: Path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


def test_no_file_names_a_place_of_one_machine():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    local = re.compile(r"(?<![\w.])/(?:home|Users|work|root|opt)/\w")
    named = []
    for name in listed.stdout.splitlines():
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, OSError):
            continue
        named += [f"{name}: {match.group()}" for match in local.finditer(text)]
    assert named == []


def test_security_names_tests_that_exist_for_each_attack():
    text = (ROOT / "SECURITY.md").read_text()
    rows = [
        line
        for line in text.partition("## Attacks and defences")[2].partition("\n## ")[0].splitlines()
        if line[:1] == "|"
    ]
    assert len(rows) > 10
    for row in rows[2:]:
        named = re.findall(r"`(tests/[\w/]+\.py)`", row.rsplit("|", 2)[1])
        assert named, row
        assert [path for path in named if not (ROOT / path).is_file()] == []
