"""The release packages: what is in them, and that an example runs from those that can be installed here."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import trustme

from deploy.packages import build
from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from tests.examples import tools
from tests.examples.gateway import HOST, Gateway
from tests.examples.running import running
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.waiting import eventually
from tests.test_distributions import installed, needs

pytestmark = pytest.mark.long

PROTOS = {path.name for path in (build.ROOT / "protos/relay/api/presence/v1").glob("*.proto")}
ADA = "ada@contoso.example"


def contents(path: Path) -> dict[str, bytes]:
    """Name -> content of each file of an archive, without the folder that all are in."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
    else:
        with tarfile.open(path) as archive:
            found = {
                each.name: (archive.extractfile(each) or sys.stdin.buffer).read() for each in archive if each.isfile()
            }
    assert len({name.partition("/")[0] for name in found}) == 1
    return {name.partition("/")[2]: content for name, content in found.items()}


def test_each_package_has_the_protos_the_version_and_the_license(tmp_path: Path):
    npm, maven, nuget, go = (contents(path) for path in [build.npm_package(tmp_path), *build.source_packages(tmp_path)])
    for files in (npm, maven, nuget, go):
        assert {name.rpartition("/")[2] for name in files} >= PROTOS
        assert files["LICENSE"] == (build.ROOT / "LICENSE").read_bytes()
        assert not [name for name, content in files.items() if b"@VERSION@" in content]
    version = build.version()
    assert json.loads(npm["package.json"])["version"] == version
    assert f"<version>{version}</version>".encode() in maven["pom.xml"]
    assert f"<Version>{version}</Version>".encode() in nuget["Presence.Api.csproj"]
    assert go["go.mod"].startswith(b"module presence.relay/api\n")


def test_archives_are_the_same_whenever_they_are_made(tmp_path: Path):
    made = [build.npm_package(tmp_path), *build.source_packages(tmp_path)]
    first = [path.read_bytes() for path in made]
    build.npm_package(tmp_path)
    build.source_packages(tmp_path)
    assert [path.read_bytes() for path in made] == first


def test_the_example_in_java_asks_for_the_package_of_this_version():
    assert (
        f"<artifactId>presence-api</artifactId><version>{build.version()}</version>"
        in (tools.EXAMPLES / "java/pom.xml").read_text()
    )


async def runs(language: str, command: list[str], folder: Path) -> None:
    """Run an example until it has shown a presence."""
    authority, relay = trustme.CA(), ScriptedRelay()
    await relay.listen(authority.issue_cert(HOST))
    try:
        async with (
            Gateway(relay.port) as gateway,
            running(
                language, gateway, folder, authority.cert_pem.bytes(), "psk_1f2e3d4c5b6a7988_secret", [ADA], command
            ) as example,
        ):
            await eventually(lambda: not relay.nothing_opened(), timeout=60, explain=example.told)
            stream = await relay.stream()
            stream.started()
            presence = pb.UserPresence(console_status=pb.CONSOLE_STATUS_AVAILABLE)
            stream.send(
                batch=api.WatchPresenceResponse.Batch(
                    resolved=[pb.ResolvedName(user=ADA, user_id="a")],
                    answers=[pb.UserAnswer(user_id="a", presence=presence)],
                    snapshot_complete=True,
                )
            )
            await eventually(lambda: example.shows(ADA) == "AVAILABLE" and example.is_certain, explain=example.told)
    finally:
        await relay.kill()


@pytest.mark.timeout(240)
async def test_the_example_in_python_runs_from_the_wheel_of_the_source_distribution(tmp_path: Path):
    made = await asyncio.to_thread(build.python_packages, tmp_path)
    names = [
        "presence_relay-{}-py3-none-any.whl",
        "presence_relay-{}.tar.gz",
        "presence_suite-{}-py3-none-any.whl",
        "presence_suite-{}.tar.gz",
    ]
    assert [path.name for path in made] == [name.format(build.version()) for name in names]
    (fresh := tmp_path / "fresh").mkdir()
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(fresh),
    ]
    await asyncio.to_thread(subprocess.run, [*command, str(made[-1])], check=True)
    [wheel] = fresh.glob("*.whl")
    scripts = await asyncio.to_thread(installed, [wheel], needs(wheel), tmp_path / "environment")
    await runs("python", [str(scripts / "python"), str(tools.EXAMPLES / "python/watch.py")], tmp_path)


@pytest.mark.timeout(240)
async def test_the_example_in_node_runs_from_the_npm_package(tmp_path: Path):
    package = build.npm_package(tmp_path)
    folder = tmp_path / "fresh"
    shutil.copytree(tools.EXAMPLES / "node", folder)
    command = ["npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", str(package)]
    await asyncio.to_thread(subprocess.run, command, cwd=folder, check=True, capture_output=True)
    await runs("node", ["node", str(folder / "watch.js")], tmp_path)
