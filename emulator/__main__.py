"""The local Microsoft cloud as a program: `python -m emulator`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from asyncio import sslproto
from pathlib import Path
from typing import Any, Final

import msgspec

from emulator.app import Emulator, ready_line
from emulator.config import Config
from emulator.demo import demo
from emulator.profile import Profile, read_file, switches_of
from emulator.records import WorldRecord, from_record
from emulator.switches import Switches
from emulator.world import Application, World

_EPILOG = """\
When ready, the program prints one line of JSON: `url`, the address of Entra and Graph; `control`, the address of the
control page; `proxy`, if there is one. For clients with Microsoft's host names built in, set
    HTTPS_PROXY=<proxy> SSL_CERT_FILE=DIR/ca.pem REQUESTS_CA_BUNDLE=DIR/ca.pem
or add the names to /etc/hosts and use --port 443. Stop it with Ctrl-C.
"""
_TLS_BUFFER_BYTES: Final = 32 * 1024
"""Size of the read buffer of each TLS connection; asyncio's default is 256 KiB."""


def main() -> int:
    """Run until stopped; return the exit code."""
    options = _options()
    try:
        config = _config(options)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        return _fail(error)
    sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES
    try:
        asyncio.run(_serve(config, options))
    except (OSError, ValueError) as error:
        return _fail(error)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawTextHelpFormatter
    )
    _reach(parser.add_argument_group("addresses and certificates"))
    _live(parser.add_argument_group("the world"))
    _start(parser.add_argument_group("start and stop"))
    return parser.parse_args()


def _reach(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--port", type=int, default=0, metavar="PORT", help="port on 127.0.0.1; 0 (default): any free one")
    add(
        "--proxy-port",
        type=int,
        metavar="PORT",
        help="also run an HTTP proxy on this port of 127.0.0.1 (0: any free one) that connects\n"
        "Microsoft's host names to this cloud and refuses all others; default: none",
    )
    add(
        "--ca-dir",
        type=Path,
        metavar="DIR",
        help="store the CA that clients must trust in DIR (ca.pem, ca.key) and reuse it",
    )
    add(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="use this PEM certificate chain instead of the emulator's CA; it must name 127.0.0.1,\n"
        "and Microsoft's hosts if they are used",
    )
    add("--tls-key", type=Path, metavar="FILE", help="private key of --tls-cert, PEM")
    add(
        "--notification-ca",
        type=Path,
        metavar="FILE",
        help="trust webhooks with certificates by these CAs (PEM), in addition to the emulator's and the system's",
    )


def _live(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--world",
        default="demo",
        metavar="demo|FILE",
        help="the world as a JSON file; ignored if --state has one (default: demo)",
    )
    add("--state", type=Path, metavar="FILE", help="store accounts, consents and keys in FILE between runs")
    add(
        "--redirect-uri",
        action="append",
        default=[],
        metavar="URI",
        help="register this redirect URI for the first application; may be given several times",
    )
    add("--day", action="store_true", help="let people live working days; default: they stay available until an action")
    add(
        "--nights",
        action="store_true",
        help="with --day: nights, weekends and time zones; default: office hours without end",
    )
    add(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="seed of the days; the same number makes the same days (default: 1)",
    )
    add(
        "--speed",
        type=float,
        default=1.0,
        metavar="X",
        help="world seconds per real second; 0 stops the world (default: 1)",
    )
    add("--profile", type=Path, metavar="FILE", help="set every switch from a profile (TOML)")
    add(
        "--switches",
        default="{}",
        metavar="JSON",
        help="set some switches for undocumented details, after --profile:\n"
        """'{"spelling": "lower_camel"}'; emulator/switches.py explains each""",
    )


def _start(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--ready-file", type=Path, metavar="FILE", help="also write the line that is printed when ready to FILE")
    add("--parent-pid", type=int, metavar="PID", help="stop when this process ends, for any reason")


def _config(options: argparse.Namespace) -> Config:
    """Return the configuration from the command line.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file or a switch is invalid.
    """
    profile = read_file(options.profile) if options.profile is not None else None
    return Config(
        world=_world(options.world), port=options.port, proxy_port=options.proxy_port, state=options.state,
        tls_cert=options.tls_cert, tls_key=options.tls_key, ca_dir=options.ca_dir, speed=options.speed, day=options.day,
        seed=options.seed, nights=options.nights, profile=profile, switches=_switches(options.switches, profile),
        notification_ca=options.notification_ca,
    )  # fmt: skip


def _switches(changes: str, profile: Profile | None) -> Switches:
    usual = Switches() if profile is None else switches_of(profile)
    try:
        return usual.changed(**msgspec.json.decode(changes, type=dict[str, Any]))
    except msgspec.DecodeError as error:
        raise ValueError(f"--switches: {error}; emulator/switches.py has all names and values") from error


def _world(name: str) -> World:
    if name == "demo":
        return demo()
    try:
        return from_record(msgspec.json.decode(Path(name).read_bytes(), type=WorldRecord))
    except (OSError, ValueError) as error:
        raise ValueError(f"--world: {error}; give `demo`, or a JSON file of the form in emulator/records.py") from error


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
        gc.freeze()  # the world is permanent; otherwise each collection takes some 100 ms for 100,000 people
        line = ready_line(cloud)
        if options.ready_file is not None:
            _write_whole(options.ready_file, line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        await stop.wait()


def _watch_parent(pid: int, stop: asyncio.Event) -> bool:
    """Stop when process `pid` ends; return False if it has already ended.

    Uses a descriptor of the process, not the kernel's parent-death signal: the kernel sends the signal when the *thread*
    that started us ends, and never if the parent ended before the signal was requested.
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
    explained = isinstance(error, OSError) and error.filename is None and error.strerror  # without the number
    sys.stderr.write(f"emulator: {explained or error}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
