"""`helm test`: the command of the chart's test pod, as the chart renders it, against a real edge."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.chart.engine import Helm
from tests.chart.examples import values

HOST = "relay.example.com"
FOLDER = "/etc/presence-relay"


@pytest.fixture(scope="module")
def helm():
    with Helm() as engines:
        yield engines


@pytest.fixture
async def edge(start_edge, authority):
    cert = authority.issue_cert(HOST)
    pem = b"".join(each.bytes() for each in cert.cert_chain_pems)
    return await start_edge(tls_cert_pem=pem, tls_key_pem=cert.private_key_pem.bytes())


async def run(helm: Helm, folder, **test) -> tuple[int, str]:
    """Run the pod's container on this machine; return its exit code and what it prints."""
    pod = helm.render(values({"edge": {"host": HOST}, "test": test})).one("Pod", "-test")["spec"]
    [container] = pod["containers"]
    for mount in container["volumeMounts"]:  # each is there, so that no argument names a file that is not
        assert mount["name"] in {volume["name"] for volume in pod["volumes"]}
    words = [word.replace(FOLDER, str(folder)) for word in container["args"]]
    assert container["command"] == ["presence-suite"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "suite.cli", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.fixture
def mounted(tmp_path, authority, key):
    """What the pod mounts."""
    for name in ("ca", "suite-key"):
        (tmp_path / name).mkdir()
    (tmp_path / "ca" / "ca.crt").write_bytes(authority.cert_pem.bytes())
    file = tmp_path / "suite-key" / "suite.key"
    file.write_text(key)
    file.chmod(0o400)
    return tmp_path


async def test_without_a_suite_key_it_asks_for_the_edges_health(helm, edge, mounted):
    code, output = await run(helm, mounted, address=f"localhost:{edge.port}", ca={"existingSecret": "ca"})
    assert (code, "serving" in output) == (0, True), output


async def test_a_certificate_of_nobody_fails_it_and_is_named(helm, edge, mounted):
    code, output = await run(helm, mounted, address=f"localhost:{edge.port}")
    assert (code, "unreachable" in output) == (3, True), output


async def test_with_a_suite_key_it_watches_a_user_until_there_is_an_answer(helm, edge, mounted, worker):
    [user] = await worker.users(1)
    code, output = await run(
        helm,
        mounted,
        address=f"localhost:{edge.port}",
        ca={"existingSecret": "ca"},
        suiteKey={"existingSecret": "suite-key"},
        user=user,
    )
    assert code == 0, output
    assert any(json.loads(line).get("presence") for line in output.splitlines() if line.startswith("{")), output
