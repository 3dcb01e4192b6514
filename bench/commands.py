"""The benchmarks of the command line: their names and arguments, and the options made from them.

Each benchmark imports its code when it runs, so that `--help` is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark of the command line; `run` returns the exit code."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


# Arguments that several benchmarks have


def _quick(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--quick", action="store_true", help=text)


def _seconds(parser: argparse.ArgumentParser, default: float, text: str) -> None:
    parser.add_argument("--seconds", type=float, default=default, metavar="S", help=f"{text} (default: {default:g})")


def _speed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--speed", type=float, default=20.0, metavar="X",
        help="run with a clock that is X times as fast; needs Debian's faketime unless 1 (default: 20)",
    )  # fmt: skip


# The relay's parts


def _fanout(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _quick(parser, "measure two loads, three times each")
    add("--point", metavar="TENANTSxSUITES@RATE", help="measure this load only, e.g. 100x5@20000")
    add("--pages", action="store_true", help="with --point: let changes come in pages")
    add("--gather-ms", type=float, default=50.0, metavar="MS", help="gather single changes this long (default: 50)")
    add("--runs", type=int, metavar="N", help="runs of each side (default: 5, with --quick 3)")
    _seconds(parser, 6.0, "length of one run")
    add("--sync", action="store_true", help="use one Valkey for presence and custody, which syncs each write")
    add("--patience", type=float, default=30.0, metavar="S", help="wait this long for an idle machine (default: 30)")
    add("--profile", default="", metavar="FILE", help="write a profile of the edge, which slows it down")
    add("--processes", type=int, default=1, metavar="N", help="edge processes that share the port (default: 1)")


def _run_fanout(options: argparse.Namespace) -> int:
    from bench.fanout.run import FanoutOptions, run
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
        FanoutOptions(
            points=points, runs=runs, seconds=options.seconds, warm_s=2.0 if options.quick else 5.0,
            durable=options.sync, profile=options.profile, patience_s=options.patience,
            gather_s=options.gather_ms / 1000, processes=options.processes,
        )
    )  # fmt: skip


def _telemetry(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--point",
        default="20x10@20000",
        metavar="TENANTSxSUITES@RATE",
        help="the load of both edges (default: 20x10@20000)",
    )
    add("--runs", type=int, default=4, metavar="N", help="runs (default: 4)")
    add("--share", type=float, default=0.01, metavar="SHARE", help="share of writes that are traced (default: 0.01)")
    _seconds(parser, 8.0, "length of one run")


def _run_telemetry(options: argparse.Namespace) -> int:
    from bench.fanout.schedule import Point
    from bench.telemetry.run import TelemetryOptions, run

    tenants, suites, rate = options.point.replace("@", "x").split("x")
    point = Point(tenants=int(tenants), suites=int(suites), rate=int(rate))
    return run(TelemetryOptions(point=point, runs=options.runs, seconds=options.seconds, trace_share=options.share))


def _poll(parser: argparse.ArgumentParser) -> None:
    _quick(parser, "measure 10,000 and 100,000 users, without 1,000,000")
    parser.add_argument("--users", type=int, nargs="+", metavar="N", help="measure these numbers of users")


def _run_poll(options: argparse.Namespace) -> int:
    from bench.poll.run import PollOptions, run

    users = (10_000, 100_000) if options.quick else (10_000, 100_000, 1_000_000)
    return run(PollOptions(users=tuple(options.users or users), limit=3.0 if options.quick else 1.5))


def _webhook(parser: argparse.ArgumentParser) -> None:
    _seconds(parser, 8.0, "length of the measurement at one rate")


def _run_webhook(options: argparse.Namespace) -> int:
    from bench.webhook.run import WebhookOptions, run

    return run(WebhookOptions(seconds=options.seconds))


def _emulator(parser: argparse.ArgumentParser) -> None:
    _quick(parser, "measure fewer reads")
    parser.add_argument("--day", action="store_true", help="let people live a working day meanwhile")


def _run_emulator(options: argparse.Namespace) -> int:
    from bench.emulator.run import run
    from bench.emulator.serve import EmulatorOptions

    reads, rounds = (300, 2) if options.quick else (1_000, 3)
    return run(EmulatorOptions(reads=reads, rounds=rounds, day=options.day))


def _cancelled(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--streams", type=int, default=20_000, metavar="N", help="streams to open and cancel (default: 20000)"
    )


def _run_cancelled(options: argparse.Namespace) -> int:
    from bench.cancelled.run import CancelledOptions, run

    return run(CancelledOptions(streams=options.streams))


# The whole relay


def _scale(parser: argparse.ArgumentParser) -> None:
    _seconds(parser, 120.0, "length of the measurement")
    parser.add_argument(
        "--users", type=int, default=100_000, metavar="N", help="users, half of them of one tenant (default: 100000)"
    )
    parser.add_argument("--tenants", type=int, default=200, metavar="N", help="number of tenants (default: 200)")


def _run_scale(options: argparse.Namespace) -> int:
    from bench.load.scale import ScaleOptions, run

    return run(ScaleOptions(users=options.users, tenants=options.tenants, seconds=options.seconds))


def _answer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tries", type=int, default=50, metavar="N", help="tries with one new user (default: 50)")


def _run_answer(options: argparse.Namespace) -> int:
    from bench.load.answer import AnswerOptions, run

    return run(AnswerOptions(tries=options.tries))


def _slow_token(parser: argparse.ArgumentParser) -> None:
    _seconds(parser, 60.0, "length of the measurement")


def _run_slow_token(options: argparse.Namespace) -> int:
    from bench.load.slow_token import SlowTokenOptions, run

    return run(SlowTokenOptions(seconds=options.seconds))


def _abuse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rounds", type=int, default=4, metavar="N", help="measurements without and with abuse, in turn (default: 4)"
    )
    _seconds(parser, 20.0, "length of each measurement")


def _run_abuse(options: argparse.Namespace) -> int:
    from bench.load.abuse import AbuseOptions, run

    return run(AbuseOptions(rounds=options.rounds, seconds=options.seconds))


def _fairness(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _quick(parser, "measure two rounds, with a large tenant of 20,000 users")
    add("--only", nargs="+", metavar="NEIGHBOUR", help="measure these neighbours only, e.g. throttled large")
    add(
        "--rounds",
        type=int,
        metavar="N",
        help="measurements without and with each neighbour (default: 3, with --quick 2)",
    )
    _seconds(parser, 30.0, "length of each measurement")
    add("--users", type=int, metavar="N", help="users of the large tenant (default: 100000, with --quick 20000)")


def _run_fairness(options: argparse.Namespace) -> int:
    from bench.fairness.neighbours import NEIGHBOURS
    from bench.fairness.run import FairnessOptions, run

    quick = options.quick
    return run(
        FairnessOptions(
            neighbours=tuple(each for each in NEIGHBOURS if not options.only or each.name in options.only),
            rounds=options.rounds or (2 if quick else 3), seconds=options.seconds, users=options.users or (20_000 if quick else 100_000),
            large_seconds=options.seconds if quick else 3 * options.seconds,
        )
    )  # fmt: skip


def _takeover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--round-trip-ms", type=float, nargs="+", default=[2, 20, 60, 150, 400], metavar="MS",
        help="round-trip times to Redis to measure (default: 2 20 60 150 400)",
    )  # fmt: skip


def _run_takeover(options: argparse.Namespace) -> int:
    from bench.takeover.run import TakeoverOptions, run

    return run(TakeoverOptions(round_trips_ms=options.round_trip_ms))


# Change notifications


def _phones(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--phones", type=int, default=50, metavar="N", help="phones (default: 50)")
    add("--colleagues", type=int, default=100, metavar="N", help="colleagues in the list (default: 100)")
    add("--rate", type=float, default=20.0, metavar="R", help="changes a second (default: 20)")
    _seconds(parser, 15.0, "length of the measurement")


def _run_phones(options: argparse.Namespace) -> int:
    from bench.phones.run import PhonesOptions, run

    return run(
        PhonesOptions(
            phones=options.phones, colleagues=options.colleagues, rate=options.rate, seconds=options.seconds
        )
    )  # fmt: skip


def _agent(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _quick(parser, "measure 500 colleagues and 5 consoles")
    add("--rate", type=float, default=50.0, metavar="N", help="changes a second (default: 50)")
    _seconds(parser, 15.0, "length of one run")
    add(
        "--many",
        type=int,
        default=1000,
        metavar="N",
        help="consoles that connect at once at the end (default: 1000; 0 leaves it out)",
    )
    add("--whole", action="store_true", help="let those request all colleagues instead of 100 each")
    add("--profile", default="", metavar="FILE", help="write a profile of the agent, by py-spy")


def _run_agent(options: argparse.Namespace) -> int:
    from bench.agent.run import AgentOptions, run

    size = (
        {"colleagues": 500, "consoles": 5, "many": min(50, options.many)} if options.quick else {"many": options.many}
    )
    return run(
        AgentOptions(rate=options.rate, seconds=options.seconds, whole=options.whole, profile=options.profile, **size)
    )


def _sip_restart(parser: argparse.ArgumentParser) -> None:
    _quick(parser, "measure 500 users at 100 subscriptions a second")
    parser.add_argument("--rate", type=int, default=50, metavar="N", help="subscriptions a second (default: 50)")


def _run_sip_restart(options: argparse.Namespace) -> int:
    from bench.sip_restart.run import RestartOptions, run

    return run(RestartOptions(users=500, rate=100) if options.quick else RestartOptions(rate=options.rate))


def _workers(parser: argparse.ArgumentParser) -> None:
    _seconds(parser, 30.0, "length of the measurement of so many workers")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="measure these numbers of workers"
    )
    parser.add_argument(
        "--tenants", type=int, default=30, metavar="N",
        help="tenants of 600 users for each worker; few enough that CPU suffices for the largest number of workers (default: 30)",
    )  # fmt: skip


def _run_workers(options: argparse.Namespace) -> int:
    from bench.workers.run import WorkersOptions, run

    return run(WorkersOptions(workers=options.workers, tenants=options.tenants, seconds=options.seconds))


def _push_latency(parser: argparse.ArgumentParser) -> None:
    _seconds(parser, 30.0, "length of one run")
    parser.add_argument("--rate", type=float, default=200.0, metavar="N", help="changes a second (default: 200)")


def _run_push_latency(options: argparse.Namespace) -> int:
    from bench.push.latency import LatencyOptions, run

    return run(LatencyOptions(seconds=options.seconds, rate=options.rate))


def _push_day(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--hours", type=float, default=24.0, metavar="H", help="length of the day, from half past nine (default: 24)")
    add("--people", type=int, default=2000, metavar="N", help="people of the tenant (default: 2000)")
    add(
        "--numbers", choices=("with", "without", "both"), default="both",
        help="notifications with or without sequence numbers, or one run of each (default: both)",
    )  # fmt: skip
    _speed(parser)


def _run_push_day(options: argparse.Namespace) -> int:
    from bench.push.day import DayOptions, run

    numbered = {"with": (True,), "without": (False,), "both": (True, False)}[options.numbers]
    return run(DayOptions(hours=options.hours, people=options.people, numbered=numbered))


def _push_trouble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hours", type=float, default=8.0, metavar="H", help="length of the loss of notifications (default: 8)"
    )
    parser.add_argument("--only", choices=("loss", "silence"), help="measure one of the two (default: both)")
    _speed(parser)


def _run_push_trouble(options: argparse.Namespace) -> int:
    from bench.push.trouble import SCENES, TroubleOptions, run

    return run(TroubleOptions(hours=options.hours, scenes=(options.only,) if options.only else SCENES))


BENCHMARKS: Final = (
    Benchmark("fanout", "deliveries per CPU second, compared with nats-server", _fanout, _run_fanout),
    Benchmark("telemetry", "the CPU that metrics and traces cost an edge, compared with an edge without them", _telemetry, _run_telemetry),
    Benchmark("poll", "the CPU of reading a page, compared with the HTTP call and the decoding alone", _poll, _run_poll),
    Benchmark(
        "webhook", "how fast notifications are answered and opened, compared with the cryptography alone", _webhook, _run_webhook
    ),
    Benchmark("emulator", "the CPU of a bulk read in the local cloud, compared with a bare server", _emulator, _run_emulator),
    Benchmark("cancelled", "the memory that an edge retains after streams were cancelled", _cancelled, _run_cancelled),
    Benchmark("scale", "100,000 watched users: gaps between reads, and the time to resume", _scale, _run_scale),
    Benchmark("answer", "the time until new users and changes are shown", _answer, _run_answer),
    Benchmark("slow-token", "what one tenant's slow token endpoint costs the others", _slow_token, _run_slow_token),
    Benchmark("abuse", "how fresh a quiet tenant stays next to one that abuses its key", _abuse, _run_abuse),
    Benchmark("fairness", "how fresh small tenants stay next to each kind of noisy neighbour", _fairness, _run_fairness),
    Benchmark(
        "takeover", "workers join, stop and die: the time until shares are fair and all is read, by distance to Redis", _takeover, _run_takeover
    ),
    Benchmark("phones", "the time from a change to the last NOTIFY of many SIP phones, compared with bare writes", _phones, _run_phones),
    Benchmark("agent", "the time from a change to the last of many consoles of an agent, compared with Starlette", _agent, _run_agent),
    Benchmark("sip-restart", "a SIP server with 10,000 users restarts: the time until all are right again, and the request rate", _sip_restart, _run_sip_restart),
    Benchmark("workers", "the users that one, two and four workers read", _workers, _run_workers),
    Benchmark("push-latency", "the time until a change that Graph notifies is shown", _push_latency, _run_push_latency),
    Benchmark("push-day", "a day with notifications, compared with polling; with a faster clock", _push_day, _run_push_day),
    Benchmark(
        "push-trouble", "lost notifications, and a subscription without notifications; with a faster clock", _push_trouble,
        _run_push_trouble,
    ),
)  # fmt: skip
