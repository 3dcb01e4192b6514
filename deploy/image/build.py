"""Builds the image without a registry: `python -m deploy.image.build [amd64|arm64]`, by default for this machine's architecture.

The base is a small Debian made by mmdebstrap; the wheels are those of the lock, with their hashes. pip chooses them for the base's Python
and for the image's architecture, which need not be this machine's.
"""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement

from deploy.image.architectures import ALL, Architecture, demand_runnable, own
from deploy.image.machine import FOLDER, ROOT, TOOLS, demand, run, say

IMAGE: Final = "localhost/presence-relay:dev"
MOST_MB: Final = 300
"""Size of the image, unpacked; more is refused."""
_SUITE: Final = "bookworm"
_PYTHON: Final = "3.11.2"
"""Of that Debian."""
_PACKAGES: Final = "python3,libpython3-stdlib,ca-certificates,tzdata,libstdc++6"
_WITHOUT: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def base(arch: Architecture) -> None:
    """Make the base image, once."""
    if run("buildah", "images", "-q", arch.base, check=False):
        say(f"Base {arch.base}: is there")
        return
    say(f"Base {arch.base}: Debian {_SUITE} with Python, by mmdebstrap (a minute, or some) ...")
    tar = FOLDER / f"base-{arch.name}.tar"
    without = [f"--dpkgopt=path-exclude={path}" for path in _WITHOUT]
    sources = [
        path
        for path in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
        if path.exists()
    ]
    command = [
        "mmdebstrap",
        "--mode=root",
        "--variant=essential",
        f"--architectures={arch.name}",
        f"--include={_PACKAGES}",
    ]
    run(*command, *without, _SUITE, tar, *sources[:1])
    container = run("buildah", "from", "--arch", arch.name, "scratch")
    run("buildah", "add", "--quiet", container, tar, "/")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    run("buildah", "config", "--env", path, "--arch", arch.name, container)
    run("buildah", "commit", "--quiet", "--rm", container, arch.base)
    tar.unlink()


def wheels(arch: Architecture) -> None:
    """Download the wheels of the locks that the base's Python needs, pip's own among them, with their hashes."""
    say(f"Wheels for {arch.machine} ...")
    shutil.rmtree(arch.wheels, ignore_errors=True)  # those of an earlier lock
    arch.wheels.mkdir(parents=True)
    needed = FOLDER / f"requirements-{arch.name}.txt"
    lines = [line for name in ("relay.txt", "build.txt") for line in _needed(ROOT / "requirements" / name, arch)]
    needed.write_text("".join(lines))
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        arch.wheels,
    ]
    exact = ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp"]
    places = [word for platform in arch.platforms for word in ("--platform", platform)]
    abis = [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
    run(*pip, *exact, *places, *abis, "--require-hashes", "-r", needed)


def _needed(lock: Path, arch: Architecture) -> list[str]:
    """Return the entries of a lock that hold on the base, without their markers."""
    environment: dict[str, str] = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": _PYTHON.rpartition(".")[0],
        "python_full_version": _PYTHON,
        "platform_machine": arch.machine,
    }
    found = []
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.read_text().strip()):
        first, _, hashes = entry.partition(" \\\n")
        requirement = Requirement(first)
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            found.append(f"{requirement.name}{requirement.specifier} \\\n{hashes}\n")
    return found


def image(arch: Architecture, name: str) -> None:
    """Build the image, and refuse one that is too large."""
    say(f"Image {name} ...")
    [pip] = arch.wheels.glob("pip-*.whl")
    folder = arch.wheels.relative_to(ROOT)
    arguments = {
        "BASE": arch.base,
        "PIP": f"python3 {folder}/{pip.name}/pip",
        "PACKAGES": f"--no-index --find-links {folder}",
        "REVISION": run("git", "rev-parse", "HEAD", check=False) or "unknown",
        "CREATED": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    command = ["buildah", "bud", "--isolation", "chroot", "--arch", arch.name, "--format", "oci", "--quiet"]
    run(*command, *words, "--file", "Containerfile", "--tag", name, ".")
    size = int(run("podman", "image", "inspect", "--format", "{{.Size}}", name)) / 1e6
    say(f"Image {name}: {size:.0f} MB unpacked")
    if size > MOST_MB:
        sys.exit(f"{name} has {size:.0f} MB, more than {MOST_MB}: look at what came into it.")


def main(arch: Architecture) -> str:
    """Build the image of an architecture; return its name."""
    name = IMAGE if arch is own() else f"{IMAGE}-{arch.name}"
    demand_runnable(arch.name, name)
    demand(*TOOLS)
    FOLDER.mkdir(exist_ok=True)
    base(arch)
    wheels(arch)
    image(arch, name)
    return name


if __name__ == "__main__":
    main({arch.name: arch for arch in ALL}[sys.argv[1]] if len(sys.argv) > 1 else own())
