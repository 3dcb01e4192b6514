"""Make the release packages: `python -m deploy.packages.build FOLDER`, which `make packages` runs.

The version of all of them is the one in `suite/pyproject.toml`. Archives are the same whenever and wherever they are made.
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
TEMPLATES: Final = Path(__file__).parent
_VERSION: Final = b"@VERSION@"
_API: Final = "relay/api/presence/v1"
_GOOGLE: Final = ("status", "error_details")
_FIRST_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip archive can name."""

Files = dict[str, bytes]
"""The path in a package, with `/` -> the file's content."""


def main(folder: Path) -> None:
    """Make every package in `folder` and print their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for made in [*python_packages(folder), npm_package(folder), *source_packages(folder)]:
        print(made)  # noqa: T201


def version() -> str:
    """Return the version of all packages."""
    found: str = tomllib.loads((ROOT / "suite" / "pyproject.toml").read_text())["project"]["version"]
    return found


def python_packages(folder: Path) -> list[Path]:
    """Make wheel and source distribution of presence-suite and presence-relay. Returns their paths."""
    with tempfile.TemporaryDirectory() as fresh:
        for project in (ROOT / "suite", ROOT):
            command = [sys.executable, "-m", "hatchling", "build", "-d", fresh]
            subprocess.run(command, cwd=project, check=True, capture_output=True)
        return [Path(shutil.copy(path, folder)) for path in sorted(Path(fresh).iterdir())]


def npm_package(folder: Path) -> Path:
    """Make the npm package `presence-api`, in the form in which `npm pack` would make it. Returns its path."""
    files = {**_template("npm"), **_protos("protos"), **_google_protos("protos"), **_license()}
    path = folder / f"presence-api-{version()}.tgz"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return path


def source_packages(folder: Path) -> list[Path]:
    """Make an archive each of what Maven, NuGet and Go build their packages from. Returns their paths."""
    made = {
        "maven": _protos("src/main/proto"),
        "nuget": _protos("protos"),
        "go": _protos("protos"),
    }
    return [_zip(folder, name, {**_template(name), **protos, **_license()}) for name, protos in made.items()]


def _zip(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """Write an archive with one folder, `presence-api-NAME`."""
    path = folder / f"presence-api-{name}-{version()}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"presence-api-{name}/{place}", _FIRST_DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def _template(name: str) -> Files:
    """Return the files of one kind of package, with the version in its place."""
    folder = TEMPLATES / name
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(_VERSION, version().encode()) for path in paths
    }


def _protos(place: str) -> Files:
    """Return the API's protos below `place`."""
    return {f"{place}/{_API}/{path.name}": path.read_bytes() for path in (ROOT / "protos" / _API).glob("*.proto")}


def _google_protos(place: str) -> Files:
    """Return the protos of errors, which Node has in no package; they are Google's, under the same license."""
    spec = find_spec("google.rpc")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("googleapis-common-protos is not installed: run make setup")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return {f"{place}/google/rpc/{name}.proto": (folder / f"{name}.proto").read_bytes() for name in _GOOGLE}


def _license() -> Files:
    return {"LICENSE": (ROOT / "LICENSE").read_bytes()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
