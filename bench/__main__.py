"""The command line: `python -m bench NAME`."""

from __future__ import annotations

import argparse
import sys

import bench
from bench import faster
from bench.processes import ChildFailed, quiet


def main() -> int:
    """Run one benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="bench", description=bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="name", metavar="NAME")
    _fanout(commands.add_parser("fanout", help="deliveries per CPU second, beside nats-server"))
    _poll(commands.add_parser("poll", help="CPU of a page, beside the HTTP call and the decoding alone"))
    _webhook(commands.add_parser("webhook", help="how soon notifications are answered, and how fast they are opened"))
    _scale(commands.add_parser("scale", help="100,000 watched users: gaps between reads, and resuming"))
    _answer(commands.add_parser("answer", help="how soon new users and changes are seen"))
    _slow_token(commands.add_parser("slow-token", help="what a slow token endpoint of one tenant costs the others"))
    _abuse(commands.add_parser("abuse", help="how fresh a quiet tenant's changes are beside one that abuses its key"))
    _takeover(
        commands.add_parser("takeover", help="how soon another worker owns and reads everything, by the way to Redis")
    )
    _emulator(commands.add_parser("emulator", help="CPU of a bulk read in the local cloud, beside a bare server"))
    _push_latency(commands.add_parser("push-latency", help="how soon a change that Graph announces is shown"))
    _push_day(commands.add_parser("push-day", help="a day with notifications, beside polling; under faketime"))
    _push_trouble(commands.add_parser("push-trouble", help="lost notifications and silence; under faketime"))
    options = parser.parse_args()
    if options.name is None:
        parser.print_help()
        return 0
    quiet()
    try:
        faster.run_again(getattr(options, "speed", 1.0))
        return int(options.run(options))
    except ChildFailed as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2


def _fanout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer points and runs")
    parser.add_argument("--point", metavar="TENANTSxSUITES@RATE", help="this load only")
    parser.add_argument("--pages", action="store_true", help="with --point: changes come in pages")
    parser.add_argument("--gather-ms", type=float, default=50.0, help="for how long the worker gathers changes (50)")
    parser.add_argument("--runs", type=int, help="of each side")
    parser.add_argument("--seconds", type=float, default=6.0, help="of one run (default: 6)")
    parser.add_argument(
        "--sync", action="store_true", help="one Valkey for presence and custody, which syncs each write"
    )
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait for a quiet machine (30)")
    parser.add_argument("--profile", default="", metavar="FILE", help="profile of the edge, which slows it down")
    parser.set_defaults(run=_run_fanout)


def _run_fanout(options: argparse.Namespace) -> int:
    from bench.fanout.run import Options, run
    from bench.fanout.schedule import Point

    shapes = [(100, 5, 100_000), (20, 10, 100_000)]
    if not options.quick:
        shapes = [(20, 10, 20_000), (100, 5, 20_000), (200, 5, 20_000), *shapes, (200, 5, 100_000)]
    points = tuple(Point(tenants=t, suites=s, rate=r) for t, s, r in shapes)
    if options.point:
        tenants, suites, rate = options.point.replace("@", "x").split("x")
        points = (Point(tenants=int(tenants), suites=int(suites), rate=int(rate), pages=options.pages),)
    runs = options.runs or (3 if options.quick else 5)
    return run(
        Options(
            points=points, runs=runs, seconds=options.seconds, warm_s=2.0 if options.quick else 5.0,
            durable=options.sync, profile=options.profile,
            patience_s=options.patience,
            gather_s=options.gather_ms / 1000,
        )
    )  # fmt: skip


def _poll(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="10,000 and 100,000 users; otherwise up to 1,000,000")
    parser.add_argument("--users", type=int, nargs="+", help="these numbers of users")
    parser.set_defaults(run=_run_poll)


def _run_poll(options: argparse.Namespace) -> int:
    from bench.poll.run import Options, run

    users = (10_000, 100_000) if options.quick else (10_000, 100_000, 1_000_000)
    return run(Options(users=tuple(options.users or users), limit=3.0 if options.quick else 1.5))


def _webhook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=8.0, help="of one rate (default: 8)")
    parser.set_defaults(run=_run_webhook)


def _run_webhook(options: argparse.Namespace) -> int:
    from bench.webhook.run import Options, run

    return run(Options(seconds=options.seconds))


def _scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=120.0, help="to measure for (default: 120)")
    parser.add_argument("--users", type=int, default=100_000, help="watched, half of them of one tenant (100,000)")
    parser.add_argument("--tenants", type=int, default=200, help="(default: 200)")
    parser.set_defaults(run=_run_scale)


def _run_scale(options: argparse.Namespace) -> int:
    from bench.load.scale import Options, run

    return run(Options(users=options.users, tenants=options.tenants, seconds=options.seconds))


def _answer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tries", type=int, default=50, help="of one new user (default: 50)")
    parser.set_defaults(run=_run_answer)


def _run_answer(options: argparse.Namespace) -> int:
    from bench.load.answer import Options, run

    return run(Options(tries=options.tries))


def _slow_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0, help="to measure for (default: 60)")
    parser.set_defaults(run=_run_slow_token)


def _abuse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=4, help="alone and beside the abuse in turns (4)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (20)")
    parser.set_defaults(run=_run_abuse)


def _run_abuse(options: argparse.Namespace) -> int:
    from bench.load.abuse import Options, run

    return run(Options(rounds=options.rounds, seconds=options.seconds))


def _run_slow_token(options: argparse.Namespace) -> int:
    from bench.load.slow_token import Options, run

    return run(Options(seconds=options.seconds))


def _takeover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--round-trip-ms", type=float, nargs="+", default=[2, 20, 60, 150, 400], help="to Redis (2 20 60 150 400)"
    )
    parser.set_defaults(run=_run_takeover)


def _run_takeover(options: argparse.Namespace) -> int:
    from bench.takeover.run import Options, run

    return run(Options(round_trips_ms=options.round_trip_ms))


def _emulator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer reads")
    parser.add_argument("--day", action="store_true", help="while everybody lives a working day")
    parser.set_defaults(run=_run_emulator)


def _run_emulator(options: argparse.Namespace) -> int:
    from bench.emulator.run import run
    from bench.emulator.serve import Options

    return run(Options(reads=300 if options.quick else 1_000, rounds=2 if options.quick else 3, day=options.day))


def _push_latency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=30.0, help="of one run (default: 30)")
    parser.add_argument("--rate", type=float, default=200.0, help="changes a second (default: 200)")
    parser.set_defaults(run=_run_push_latency)


def _run_push_latency(options: argparse.Namespace) -> int:
    from bench.push.latency import Options, run

    return run(Options(seconds=options.seconds, rate=options.rate))


def _faster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--speed", type=float, default=20.0, help="of the clock, by Debian's faketime (default: 20)")


def _push_day(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hours", type=float, default=24.0, help="from half past nine on (default: 24)")
    parser.add_argument("--people", type=int, default=2000, help="of the tenant (default: 2,000)")
    parser.add_argument(
        "--numbers", choices=("with", "without", "both"), default="both", help="sequence numbers (both)"
    )
    _faster(parser)
    parser.set_defaults(run=_run_push_day)


def _run_push_day(options: argparse.Namespace) -> int:
    from bench.push.day import Options, run

    numbered = {"with": (True,), "without": (False,), "both": (True, False)}[options.numbers]
    return run(Options(hours=options.hours, people=options.people, numbered=numbered))


def _push_trouble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hours", type=float, default=8.0, help="of loss (default: 8)")
    parser.add_argument("--only", choices=("loss", "silence"), help="one of the two")
    _faster(parser)
    parser.set_defaults(run=_run_push_trouble)


def _run_push_trouble(options: argparse.Namespace) -> int:
    from bench.push.trouble import SCENES, Options, run

    return run(Options(hours=options.hours, scenes=(options.only,) if options.only else SCENES))


if __name__ == "__main__":
    sys.exit(main())
