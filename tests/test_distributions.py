"""Two distributions from one repository: presence-suite runs beside its four dependencies, and without the relay."""

from __future__ import annotations

import email
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
OF_THE_SERVER = {
    "redis",
    "msal",
    "starlette",
    "httpx",
    "pydantic",
    "structlog",
    "opentelemetry",
    "relay",
    "pages",
    "onboarding",
    "console",
}


OF_THE_AGENT = (
    "suite.agent.api.",
    "suite.agent.checking",
    "suite.agent.notekeeping.follower",
    "suite.agent.run",
    "suite.agent.sources.sfb.",
)
"""Modules that need the extra `agent`."""
OF_SIP = (
    "suite.sip.",
    "suite.agent.feeds.documents",
    "suite.agent.feeds.publishing",
    "suite.agent.feeds.sip_publish",
    "suite.agent.sipserver.",
    "suite.agent.sources.sip.",
)
"""Modules that need the extra `sip`. The agent imports them when its settings switch SIP on."""


def built(project: Path, folder: Path) -> Path:
    """Build a project's wheel, by the hatchling that is installed."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=60)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def suite_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT / "suite", tmp_path_factory.mktemp("suite"))


@pytest.fixture(scope="module")
def relay_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("relay"))


def packages(wheel: Path) -> set[str]:
    return {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}


def needs(wheel: Path) -> list[str]:
    """The names of the distributions that a wheel needs, extras left out."""
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    headers = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    return sorted(need.name for need in map(Requirement, headers) if need.marker is None)


def extra_needs(wheel: Path, extra: str) -> list[str]:
    """The names of the distributions that an extra of a wheel needs beside those."""
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    headers = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    asked = [need for need in map(Requirement, headers) if need.marker is not None]
    return sorted(need.name for need in asked if need.marker is not None and need.marker.evaluate({"extra": extra}))


def with_all_they_need(names: list[str]) -> set[str]:
    """These distributions, as installed here, and those that they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            requirements = [Requirement(text) for text in metadata.requires(name) or ()]
            waiting += [
                each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    return found


def test_each_wheel_has_its_own_packages_and_nothing_of_the_other(suite_wheel: Path, relay_wheel: Path):
    assert (packages(suite_wheel), packages(relay_wheel)) == (
        {"suite", "presence_api"},
        {"relay", "pages", "onboarding", "console"},
    )
    assert needs(suite_wheel) == ["grpcio", "protobuf", "rich", "typer"]
    assert "presence-suite" in needs(relay_wheel)


def installed(wheels: list[Path], names: list[str], folder: Path) -> Path:
    """Make an environment with these wheels and nothing but the distributions that they need; return the folder of its commands."""
    venv.create(folder, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    site, scripts = Path(paths["purelib"]), Path(paths["scripts"])
    for name in with_all_they_need(names):
        for top in {file.parts[0] for file in metadata.files(name) or () if file.parts[0] != ".."}:
            if not (site / top).exists():
                (site / top).symlink_to(metadata.distribution(name).locate_file(top))
    install = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--no-index", "--no-deps"]
    subprocess.run([*install, "--quiet", *map(str, wheels)], check=True, timeout=60)
    return scripts


def modules_of(wheel: Path) -> list[str]:
    return [
        name[:-3].replace("/", ".").removesuffix(".__init__")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.endswith(".py")
    ]


def ran(*command: object) -> tuple[int, str, str]:
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    return ended.returncode, ended.stdout, ended.stderr


def test_the_suite_runs_where_nothing_but_its_dependencies_is_installed(suite_wheel: Path, tmp_path: Path):
    scripts = installed([suite_wheel], needs(suite_wheel), tmp_path)
    code, said, errors = ran(scripts / "presence-suite", "--help")
    assert (code, "watch" in said, errors) == (0, True, "")
    # Each of the wheel's modules can be imported there, but for those that need an extra, and the command says so.
    modules = [name for name in modules_of(suite_wheel) if not name.startswith(OF_THE_AGENT + OF_SIP)]
    imports = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    assert ran(scripts / "python", "-c", imports) == (0, "", "")
    code, _, errors = ran(scripts / "presence-suite", "agent", "--settings", "Presence.ini")
    assert (code, "pip install 'presence-suite[agent]'" in errors) == (2, True)


def test_the_agent_runs_where_its_extra_is_installed_too(suite_wheel: Path, tmp_path: Path):
    scripts = installed([suite_wheel], needs(suite_wheel) + extra_needs(suite_wheel, "agent"), tmp_path)
    modules = [name for name in modules_of(suite_wheel) if not name.startswith(OF_SIP)]
    imports = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    assert ran(scripts / "python", "-c", imports) == (0, "", "")


@pytest.mark.parametrize(("extras", "packages"), [(("sip",), ("suite.sip.",)), (("agent", "sip"), OF_SIP)])
def test_sip_can_be_imported_where_its_extra_is_installed(
    suite_wheel: Path, tmp_path: Path, extras: tuple[str, ...], packages: tuple[str, ...]
):
    extra = [name for each in extras for name in extra_needs(suite_wheel, each)]
    scripts = installed([suite_wheel], needs(suite_wheel) + extra, tmp_path)
    modules = [name for name in modules_of(suite_wheel) if name.startswith(packages)]
    imports = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    assert ran(scripts / "python", "-c", imports) == (0, "", "")


def listed(project: Path, *folders: str) -> set[str]:
    """The files of a project's folders."""
    command = ["git", "ls-files", *folders]
    return set(subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.split())


def test_each_wheel_has_every_file_of_its_packages(relay_wheel: Path, suite_wheel: Path):
    """Pages, texts in other languages and Lua scripts are files beside the code."""
    relays = listed(ROOT, "relay", "pages", "onboarding", "console")
    assert {Path(name).suffix for name in relays} >= {".py", ".html", ".css", ".lua"}
    assert relays - set(zipfile.ZipFile(relay_wheel).namelist()) == set()
    suites = listed(ROOT / "suite" / "src", ".")
    assert {Path(name).suffix for name in suites} >= {".py", ".html", ".css", ".js"}
    assert suites - set(zipfile.ZipFile(suite_wheel).namelist()) == set()


def test_the_relay_runs_where_nothing_but_its_dependencies_is_installed(
    suite_wheel: Path, relay_wheel: Path, tmp_path: Path
):
    asked = [name for name in needs(relay_wheel) if name != "presence-suite"]
    scripts = installed([suite_wheel, relay_wheel], asked + needs(suite_wheel), tmp_path)
    code, said, errors = ran(scripts / "presence-relay", "settings")
    assert (code, "`RELAY_REDIS_URL`" in said, errors) == (0, True, "")
    # All roles and commands can be imported; only `dev`, and what it alone uses, is for a checkout.
    modules = [name for name in modules_of(relay_wheel) if not name.startswith("relay.dev")]
    imports = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    assert ran(scripts / "python", "-c", imports) == (0, "", "")
    # The scripts that Redis runs are there: a user's rights name their hashes.
    code, said, errors = ran(scripts / "presence-relay", "redis-acl", "worker", "--user", "relay-worker")
    assert (code, "evalsha" in said, errors) == (0, True, "")


def test_importing_the_suite_imports_nothing_of_the_server():
    code = "import suite, sys\nfor name in suite.__all__: getattr(suite, name)\nimport suite.cli, suite.watching\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {name.partition(".")[0] for name in ended.stdout.split()} & OF_THE_SERVER == set()
