"""Generate the Python code of the protos into a folder, as the package `presence_api.v1`: `python protos/generate.py FOLDER`.

protoc names a Python package after the path of the protos, `relay.api.presence.v1`, which would put the API into the server's
package `relay`. The path is a promise to suites (`v1.txtpb`) and stays, so the imports are rewritten here. Names on the wire stay too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).parent
PATH = "relay/api/presence/v1"
IMPORT = re.compile(r"\bfrom relay\.api\.presence\.v1 import\b")
MODULE = re.compile(r"\brelay\.api\.presence\.v1\.(?=\w+_pb2\b)")


def main(folder: Path) -> None:
    """Generate messages, stubs and their types."""
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as fresh:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}"]
        command += [f"--plugin={name}={binaries / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
        command += [f"--python_out={fresh}", f"--grpc_python_out={fresh}"]
        command += [f"--mypy_out=quiet:{fresh}", f"--mypy_grpc_out=quiet:{fresh}"]
        subprocess.run([*command, *map(str, sorted((PROTOS / PATH).glob("*.proto")))], check=True)
        for generated in (Path(fresh) / PATH).iterdir():
            text = IMPORT.sub("from presence_api.v1 import", generated.read_text())
            generated.write_text(MODULE.sub("presence_api.v1.", text))
            shutil.copyfile(generated, folder / generated.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
