"""Tries the image as Kubernetes runs it: `python -m deploy.image.trial [IMAGE]`.

A whole relay of the checkout runs on this machine (`presence-relay dev`); an edge in a container joins it: user 65532, read-only root, no capability, no
new privilege, a memory limit. A suite watches through the container. Each step prints what it found, and a wrong one ends the trial.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deploy.image.architectures import demand_runnable
from deploy.image.build import IMAGE
from deploy.image.machine import ROOT, run, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER: Final = 65532
PATIENCE_S: Final = 120.0
MEMORY_MB: Final = 256
_PODMAN: Final = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
_ALONE: Final = (*_PODMAN, "run", "--rm", "--pull", "never", "--network", "none")
_LIMITS: Final = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000")
"""Named, because podman's own need a capability that sandboxes lack."""
_HARDENED: Final = (
    "--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp:size=64m,mode=1777", "--cap-drop", "all",
    "--security-opt", "no-new-privileges", "--memory", f"{MEMORY_MB}m", "--user", f"{USER}:{USER}",
)  # fmt: skip


def main(image: str) -> None:
    """Run the trial."""
    demand_runnable(run("podman", "image", "inspect", "--format", "{{.Architecture}}", image), image)
    with (
        tempfile.TemporaryDirectory(prefix="relay-image-") as text,
        relay_on_this_machine(Path(text) / "state") as state,
    ):
        mounted = prepared(state, Path(text) / "mounted")
        command_line(image)
        with edge_in_a_container(image, state, mounted) as (name, edge_port, ops_port):
            watched(edge_port, state)
            kept_inside(name)
            stopped(name, ops_port)
        memory(image)
    say("The image works.")


@contextlib.contextmanager
def relay_on_this_machine(state: Path) -> Iterator[Path]:
    """Run a relay of the checkout while the context lasts, and yield its folder once it is ready."""
    log = state.with_suffix(".log")
    command = [sys.executable, "-m", "relay.cli", "dev", "--state", str(state)]
    free = {f"RELAY_{part}_PORT": "0" for part in ("EDGE", "WEB", "WEBHOOK", "OPS")}
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | free, cwd=ROOT) as process,
    ):
        try:
            until(
                lambda: "presence-suite" in log.read_text() or process.poll() is not None, "the relay on this machine"
            )
            if process.poll() is not None:
                sys.exit(log.read_text())
            say("relay        of the checkout: ready")
            yield state
        finally:
            process.send_signal(signal.SIGTERM)


def prepared(state: Path, folder: Path) -> Path:
    """Return a folder with what the container mounts, for its user alone: certificate, public keys, and the way to Valkey."""
    folder.mkdir()
    run(sys.executable, "-m", "relay.cli", "keyring", "public", state / "key-ring.json")
    for name in ("server.pem", "server.key", "key-ring.json.pub"):
        shutil.copy(state / name, folder / name)
        os.chown(folder / name, USER, USER)
        (folder / name).chmod(0o400)
    for path in (state.parent, state, folder):
        path.chmod(0o711)
    (state / "valkey.sock").chmod(0o666)
    return folder


def command_line(image: str) -> None:
    """Look at who runs in the container, and that both commands are there."""
    shown = run(*_ALONE, *_LIMITS, *_HARDENED, image, "--help")
    assert "Run a Teams presence relay" in shown, shown
    for entry, words in (
        ("presence-suite", ("--help",)),
        ("python", ("-c", "import os; print(os.getuid(), os.getgid())")),
    ):
        shown = run(
            *_ALONE,
            *_LIMITS,
            *_HARDENED,
            "--entrypoint",
            entry,
            image,
            *words,
        )
        assert "watch" in shown or shown == f"{USER} {USER}", shown
    say(f"commands     presence-relay and presence-suite work as user {USER}")


@contextlib.contextmanager
def edge_in_a_container(image: str, state: Path, mounted: Path) -> Iterator[tuple[str, int, int]]:
    """Run the edge in a container while the context lasts; yield the container's name and its two ports."""
    name = f"relay-trial-{os.getpid()}"
    edge_port, ops_port = free_port(), free_port()
    [url] = re.findall(r"RELAY_REDIS_URL='?([^'\n]+)", (state / "relay.env").read_text())
    variables = {
        "RELAY_REDIS_URL": re.sub(r"@.*$", "@/run/valkey.sock", url),
        "RELAY_EDGE_TLS_CERT_FILE": "/etc/presence-relay/server.pem",
        "RELAY_EDGE_TLS_KEY_FILE": "/etc/presence-relay/server.key",
        "RELAY_EDGE_MARK_KEYS_FILE": "/etc/presence-relay/key-ring.json.pub",
        "RELAY_EDGE_HOST": "127.0.0.1",
        "RELAY_EDGE_PORT": str(edge_port),
        "RELAY_OPS_HOST": "127.0.0.1",
        "RELAY_OPS_PORT": str(ops_port),
    }
    given = [word for key, value in variables.items() for word in ("--env", f"{key}={value}")]
    volumes = ["--volume", f"{mounted}:/etc/presence-relay:ro", "--volume", f"{state / 'valkey.sock'}:/run/valkey.sock"]
    began = time.monotonic()
    run(
        *_PODMAN,
        "run",
        "--detach",
        "--name",
        name,
        "--pull",
        "never",
        "--network",
        "host",
        *_LIMITS,
        *_HARDENED,
        *given,
        *volumes,
        image,
        "serve",
        "edge",
    )
    try:
        until(lambda: status(ops_port, "/readyz") == 200, "the container's edge", lambda: run(*_PODMAN, "logs", name))
        say(f"edge         in a container: ready after {time.monotonic() - began:.1f} s")
        yield name, edge_port, ops_port
    finally:
        run(*_PODMAN, "rm", "--force", name, check=False)


def watched(port: int, state: Path) -> None:
    """Watch somebody through the container, over TLS, and ask for its health."""
    suite = [sys.executable, "-m", "suite.cli"]
    trust: list[str | Path] = ["--address", f"127.0.0.1:{port}", "--ca-file", state / "ca.pem"]
    assert "serving" in run(*suite, "health", *trust)
    shown = run(*suite, "watch", "ada@contoso.example", "--once", "--json", "--key-file", state / "suite.key", *trust)
    [answer] = [line for line in shown.splitlines() if '"availability"' in line][-1:]
    say(f"suite        watched a user through the container: {answer[:100]} ...")


def kept_inside(name: str) -> None:
    """Look at what the container wrote: nothing outside its volumes."""
    changed = run(*_PODMAN, "diff", name, check=False).splitlines()
    ours = [line for line in changed if not re.match(r"[AC] /(etc|run|tmp|dev|proc|sys)\b", line)]
    assert ours == [], ours
    written = run(*_PODMAN, "exec", name, "python", "-c", "print(open('/written', 'w').name)", check=False)
    assert written == "", "the root can be written to"
    say("root         read-only: nothing was written outside the volumes")


def stopped(name: str, ops_port: int) -> None:
    """Stop the container as Kubernetes does, and look at its exit code."""
    began = time.monotonic()
    run(*_PODMAN, "stop", "--time", "40", name)
    code = run(*_PODMAN, "inspect", "--format", "{{.State.ExitCode}}", name)
    assert code == "0", code
    assert status(ops_port, "/livez") == 0
    say(f"SIGTERM      ended it with 0 after {time.monotonic() - began:.1f} s")


def memory(image: str) -> None:
    """Look whether the memory limit holds: a process that takes more is killed."""
    command = [
        *_ALONE,
        *_LIMITS,
        *_HARDENED,
        "--memory-swap",
        f"{MEMORY_MB}m",
    ]
    code = f"held = bytearray({2 * MEMORY_MB} << 20); held[::4096] = b'x' * len(held[::4096])"
    # conmon leaves a file `oom` in the folder that it is started in.
    aside = tempfile.gettempdir()
    ended = subprocess.run(
        [*command, "--entrypoint", "python", image, "-c", code],
        capture_output=True,
        check=False,
        timeout=120,
        cwd=aside,
    )
    assert ended.returncode == 137, (ended.returncode, ended.stderr[-500:])
    say(f"memory       a process that takes more than {MEMORY_MB} MB is killed (137)")


def status(port: int, path: str) -> int:
    """Return the status of a path of the ops port; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def until(condition: Callable[[], Any], what: str, explain: Callable[[], str] = str) -> None:
    """Wait for a condition; end the program when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} is not ready after {PATIENCE_S:.0f} s. {explain()}")
        time.sleep(0.2)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else IMAGE)
