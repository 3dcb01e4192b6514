"""Build the examples: `python -m tests.examples.tools`, which `make examples` runs. What it needs it puts into `.venv/examples`.

Compilers and libraries of Go and Java come from Debian's packages, unpacked there, so that nothing of the system changes. What is built
is kept until its sources, the protos or this module change. `python -m tests.examples.tools agent/csharp` builds one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from deploy.packages.build import npm_package

ROOT: Final = Path(__file__).parent.parent.parent
EXAMPLES: Final = ROOT / "examples"
PROTOS: Final = ROOT / "protos"
BUILT: Final = ROOT / ".venv" / "examples"
DEBIAN: Final = BUILT / "debian"

SITE: Final = next(Path(path) for path in sys.path if (Path(path) / "grpc_tools").is_dir())
_GO_PACKAGES: Final = (
    "golang-google-grpc-dev", "golang-google-genproto-dev", "golang-google-protobuf-dev", "golang-github-golang-protobuf-1-5-dev",
    "golang-golang-x-net-dev", "golang-golang-x-sys-dev", "golang-golang-x-text-dev", "protoc-gen-go", "protoc-gen-go-grpc",
)  # fmt: skip
_JAVA_PACKAGES: Final = (
    "libgrpc-java", "libprotobuf-java", "libnetty-java", "libguava-java", "libgoogle-gson-java", "libperfmark-java",
    "libgeronimo-annotation-1.3-spec-java", "protobuf-compiler", "protobuf-compiler-grpc-java-plugin",
    "libnetty-tcnative-java", "libnetty-tcnative-jni", "libapr1",
)  # fmt: skip
_JARS: Final = (
    "grpc-api", "grpc-context", "grpc-core", "grpc-netty", "grpc-protobuf", "grpc-protobuf-lite", "grpc-stub", "netty-buffer", "netty-codec",
    "netty-codec-http", "netty-codec-http2", "netty-codec-socks", "netty-common", "netty-handler", "netty-handler-proxy", "netty-resolver",
    "netty-transport", "netty-transport-native-unix-common", "guava", "gson", "protobuf", "perfmark-api", "geronimo-annotation-1.3-spec",
    "netty-tcnative",
)  # fmt: skip


_MONO_PACKAGES: Final = (
    "mono-mcs", "mono-runtime-sgen", "mono-runtime-common", "libmono-corlib4.5-cil", "libmono-corlib4.5-dll", "libmono-system4.0-cil",
    "libmono-system-core4.0-cil", "libmono-system-xml4.0-cil", "libmono-system-runtime-serialization4.0-cil",
    "libmono-system-configuration4.0-cil", "libmono-security4.0-cil", "libmono-system-servicemodel-internals0.0-cil",
    "libmono-smdiagnostics0.0-cil",
)  # fmt: skip
_BROKER_PACKAGES: Final = ("mosquitto", "libmosquitto1", "libcjson1", "libdlt2", "libwrap0")


class Missing(Exception):
    """A tool is missing and cannot be installed here; the text says how a person can."""


def node() -> None:
    """Install the locked libraries, and the npm package as it is released."""
    _commands("nodejs npm", "node", "npm")
    folder = _emptied(BUILT / "node")
    for path in (EXAMPLES / "node").iterdir():
        shutil.copy(path, folder)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    _run(["tar", "-xzf", str(npm_package(folder)), "-C", str(folder / "node_modules")], folder)
    (folder / "node_modules/package").rename(folder / "node_modules/presence-api")


def go() -> None:
    """Generate the module `presence.relay/api` and compile the example."""
    [compiler] = _needs("golang-go", r"golang-[\d.]+-go")
    _debian([*_GO_PACKAGES, compiler, compiler.removesuffix("go") + "src"])
    folder, plugins = _emptied(BUILT / "go"), DEBIAN / "usr/bin"
    (folder / "path/src").mkdir(parents=True)
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *api()]
    command += [f"--plugin={plugins}/protoc-gen-go", f"--go_out={folder}/path/src"]
    command += [f"--plugin={plugins}/protoc-gen-go-grpc", f"--go-grpc_out={folder}/path/src"]
    _run(command, folder)
    [root] = (DEBIAN / "usr/lib").glob("go-*")
    where = {
        "GOROOT": str(root),
        "GOPATH": f"{folder}/path:{DEBIAN}/usr/share/gocode",
        "GOCACHE": str(BUILT / "go-cache"),
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
    }
    _run([str(root / "bin/go"), "build", "-o", str(folder / "watch"), "."], EXAMPLES / "go", where)


def java() -> None:
    """Generate the package `relay.presence.api.v1`, and what Debian's library lacks of `com.google.rpc`; compile the example."""
    _commands("default-jdk-headless", "java", "javac")
    [compiler] = _needs("protobuf-compiler", r"libprotoc\d+\w*")
    _debian([*_JAVA_PACKAGES, compiler, *_needs(compiler, r"libprotobuf\d+\w*")])
    folder = _emptied(BUILT / "java")
    generated, classes = folder / "generated", folder / "classes"
    generated.mkdir()
    # Debian's Netty speaks HTTP/2 over TLS only with this library, and looks for it by another name than Debian's.
    for path in libraries().glob("jni/libnetty-tcnative.so"):
        shutil.copy(path, path.with_name("libnetty_tcnative.so"))
    plugin = DEBIAN / "usr/bin/grpc_java_plugin"
    command = [str(DEBIAN / "usr/bin/protoc"), f"-I{PROTOS}", f"-I{SITE}/grpc_tools/_proto", f"-I{SITE}", *api()]
    command += [f"{SITE}/google/rpc/{name}.proto" for name in ("status", "error_details")]
    command += [f"--java_out={generated}", f"--plugin=protoc-gen-grpc-java={plugin}", f"--grpc-java_out={generated}"]
    _run(command, folder, {"LD_LIBRARY_PATH": str(libraries())})
    sources = [str(path) for where in (generated, EXAMPLES / "java") for path in sorted(where.rglob("*.java"))]
    _run(["javac", "-nowarn", "-proc:none", "-d", str(classes), "-cp", _class_path(), *sources], folder)


def framework() -> None:
    """Compile the console for .NET Framework with Mono's compiler, in the version of C# that Visual Studio 2012 has."""
    _debian(_MONO_PACKAGES)
    source, program = EXAMPLES / "agent/csharp/Console.cs", _emptied(BUILT / "framework") / "Console.exe"
    options = ["-langversion:5", "-warnaserror", "-r:System.Runtime.Serialization.dll", f"-out:{program}"]
    _run([*_mono(), f"{DEBIAN}/usr/lib/mono/4.5/mcs.exe", *options, str(source)], BUILT)


def broker() -> None:
    """Unpack mosquitto, for the example that speaks MQTT."""
    _debian(_BROKER_PACKAGES)


def agent_consoles() -> dict[str, list[str]]:
    """Language -> the command that starts its console of the agent."""
    return {
        "python": [sys.executable, str(EXAMPLES / "agent/python/console.py")],
        "node": ["node", str(EXAMPLES / "agent/node/console.js")],
        "csharp": [*_mono(), str(BUILT / "framework/Console.exe")],
    }


def broker_command() -> list[str]:
    """Return the command that starts mosquitto."""
    return ["env", f"LD_LIBRARY_PATH={libraries()}", str(DEBIAN / "usr/sbin/mosquitto")]


def _mono() -> list[str]:
    return ["env", f"MONO_CFG_DIR={DEBIAN}/etc", f"LD_LIBRARY_PATH={DEBIAN}/usr/lib", str(DEBIAN / "usr/bin/mono-sgen")]


def commands() -> dict[str, list[str]]:
    """Language -> the command that starts its example, for languages that run here."""
    # The first compiler suffices for a short run and costs less than the second.
    virtual_machine = ["env", f"LD_LIBRARY_PATH={libraries()}", "java", f"-Djava.library.path={libraries()}/jni"]
    virtual_machine += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return {
        "python": [sys.executable, str(EXAMPLES / "python/watch.py")],
        "node": ["node", str(BUILT / "node/watch.js")],
        "go": [str(BUILT / "go/watch")],
        "java": [*virtual_machine, "-cp", f"{BUILT}/java/classes:{_class_path()}", "watch.Watch"],
    }


BUILDERS: Final[Mapping[str, Callable[[], None]]] = {
    "node": node,
    "go": go,
    "java": java,
    "agent/csharp": framework,
    "agent/homeassistant": broker,
}
"""Folder of the example -> what builds it, or gets what it needs."""


def is_built(language: str) -> bool:
    """True when what is built is of the present sources."""
    stamp = _stamp(language)
    return language not in BUILDERS or (stamp.exists() and stamp.read_text() == _sources(language))


def _stamp(language: str) -> Path:
    return BUILT / f"{language.replace('/', '-')}.built"


def _sources(language: str) -> str:
    """Return a digest of everything that the build depends upon."""
    digest = hashlib.sha256()
    folders = [EXAMPLES / language, PROTOS, ROOT / "deploy/packages"]
    for path in [Path(__file__), *(path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())]:
        if path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()


def api() -> list[str]:
    """Return the paths of the API's protos."""
    return [str(path) for path in sorted((PROTOS / "relay/api/presence/v1").glob("*.proto"))]


def libraries() -> Path:
    """Return the folder of Debian's shared libraries."""
    return next((DEBIAN / "usr/lib").glob("*-linux-gnu"), DEBIAN / "usr/lib")


def _class_path() -> str:
    return ":".join(f"{DEBIAN}/usr/share/java/{name}.jar" for name in _JARS)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(command: list[str], folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a command; what it printed is shown when it fails."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **(environ or {})}, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{' '.join(command[:3])} … failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def _commands(packages: str, *names: str) -> None:
    """Install Debian's packages when a command is missing."""
    if all(map(shutil.which, names)):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise Missing(f"{' and '.join(names)} are needed. Install them, for example: sudo apt-get install {packages}")
    print(f"Installing {packages} ...", flush=True)  # noqa: T201
    _run(["apt-get", "update", "-q"], BUILT)
    _run(
        ["apt-get", "install", "-qy", "--no-install-recommends", *packages.split()],
        BUILT,
        {"DEBIAN_FRONTEND": "noninteractive"},
    )


def _needs(package: str, pattern: str) -> list[str]:
    """Return what a package depends on, of names with a version in them."""
    found = re.findall(rf"Depends: ({pattern})$", _apt(["apt-cache", "depends", package]), flags=re.MULTILINE)
    return list(dict.fromkeys(found))


def _debian(packages: Iterable[str]) -> None:
    """Unpack Debian's packages that are not unpacked yet."""
    DEBIAN.mkdir(parents=True, exist_ok=True)
    missing = [name for name in packages if not (DEBIAN / f".{name}").exists()]
    if not missing:
        return
    print(f"Unpacking {len(missing)} of Debian's packages into {DEBIAN.relative_to(ROOT)} ...", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory() as fresh:
        _apt(["apt-get", "download", "-q", *missing], Path(fresh))
        for path in Path(fresh).glob("*.deb"):
            _run(["dpkg-deb", "-x", str(path), str(DEBIAN)], DEBIAN)
    for name in missing:
        (DEBIAN / f".{name}").touch()


def _apt(command: list[str], folder: Path = BUILT) -> str:
    """Run a command of apt, and again with fresh lists when it fails or finds nothing."""
    if not shutil.which(command[0]):
        raise Missing("The examples in Go and Java are built with Debian's packages, and apt is not here.")
    try:
        if answer := _run(command, folder):
            return answer
    except Missing:
        if os.geteuid():
            raise
    _run(["apt-get", "update", "-q"], folder)
    return _run(command, folder)


def main() -> None:
    """Build what is not built: all of it, or the examples that are named."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for language, build in BUILDERS.items():
        if not is_built(language) and (not sys.argv[1:] or language in sys.argv[1:]):
            print(f"Building the example for {language} ...", flush=True)  # noqa: T201
            sources = _sources(language)
            try:
                build()
            except Missing as missing:
                sys.exit(str(missing))
            _stamp(language).write_text(sources)


if __name__ == "__main__":
    main()
