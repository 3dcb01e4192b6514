"""The local Microsoft cloud as a program: `python -m emulator`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import msgspec

from emulator.app import Emulator, ready_line
from emulator.config import Config
from emulator.demo import demo
from emulator.records import WorldRecord, from_record
from emulator.switches import Switches
from emulator.world import Application, World


def main() -> int:
    """Run until stopped; returns the exit code."""
    options = _options()
    try:
        config = _config(options)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        return _fail(error)
    try:
        import uvloop
    except ImportError:  # Windows has none
        run = asyncio.run
    else:
        run = uvloop.run
    try:
        run(_serve(config, options))
    except (OSError, ValueError) as error:
        return _fail(error)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="emulator", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on 127.0.0.1; 0 (default): any free one")
    add("--world", default="demo", metavar="demo|FILE", help="who there is, when no state is kept yet")
    add("--state", type=Path, metavar="FILE", help="keep accounts, consents and keys in FILE between runs")
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain for 127.0.0.1; default: made by an own CA")
    add("--tls-key", type=Path, metavar="FILE", help="its private key")
    add("--ca-dir", type=Path, metavar="DIR", help="keep the own CA in DIR (ca.pem, ca.key) between runs")
    add("--speed", type=float, default=1.0, help="world seconds in one second (default: 1)")
    add("--day", action="store_true", help="people live a working day")
    add("--seed", type=int, default=1, help="makes the same day again")
    add("--switches", default="{}", metavar="JSON", help="switches that are not as by default")
    add(
        "--redirect-uri",
        action="append",
        default=[],
        metavar="URI",
        help="register for the (first) application; may repeat",
    )
    add("--ready-file", type=Path, metavar="FILE", help="also write the line that is printed when ready to FILE")
    add("--parent-pid", type=int, metavar="PID", help="stop when that process ends, however it ends")
    return parser.parse_args()


def _config(options: argparse.Namespace) -> Config:
    """What was asked for.

    Raises:
        OSError: a file cannot be read.
        ValueError: something in it, or in a switch, is wrong.
    """
    return Config(
        world=_world(options.world), port=options.port, state=options.state, tls_cert=options.tls_cert,
        tls_key=options.tls_key, ca_dir=options.ca_dir, speed=options.speed, day=options.day, seed=options.seed,
        switches=msgspec.json.decode(options.switches, type=Switches),
    )  # fmt: skip


def _world(name: str) -> World:
    if name == "demo":
        return demo()
    return from_record(msgspec.json.decode(Path(name).read_bytes(), type=WorldRecord))


async def _serve(config: Config, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.parent_pid is not None and not _watch_parent(options.parent_pid, stop):
        return
    async with Emulator.start(config) as cloud:
        _register(next(iter(cloud.world.applications.values()), None), options.redirect_uri)
        cloud.on_change()
        gc.collect()
        gc.freeze()  # the world is here to stay; looking through 100,000 people takes the collector some 100 ms
        line = ready_line(cloud)
        if options.ready_file is not None:
            _write_whole(options.ready_file, line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        await stop.wait()


def _watch_parent(pid: int, stop: asyncio.Event) -> bool:
    """Stop when process `pid` ends; False when it has ended already.

    A descriptor of the process rather than the kernel's parent-death signal: that one is sent when the *thread* that
    started us ends, and is lost when the parent ends before it is asked for.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    asyncio.get_running_loop().add_reader(descriptor, stop.set)
    return True


def _register(application: Application | None, uris: list[str]) -> None:
    if application is not None:
        application.redirect_uris += [uri for uri in uris if uri not in application.redirect_uris]


def _write_whole(path: Path, line: str) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(f"{line}\n")
    beside.replace(path)


def _fail(error: Exception) -> int:
    sys.stderr.write(f"emulator: {error}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
