"""The command line: `python -m bench NAME`."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from bench import faster
from bench.commands import BENCHMARKS
from bench.processes import ChildFailed, quiet

_ABOUT: Final = """\
Benchmarks of the relay, each compared with something similar on the same machine. A benchmark prints tables and ends with
one line of JSON: the measurements, the conditions, and whether each is met. `python -m bench NAME --help` lists its arguments.
The exit code is 0 if all conditions are met, 1 if one is not, and 2 if the benchmark could not run.

"""


def main() -> int:
    """Run one benchmark and return its exit code."""
    about = _ABOUT + "\n".join(f"    {each.name:14}{each.help}" for each in BENCHMARKS)
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="name", metavar="NAME", help="the benchmark to run")
    for each in BENCHMARKS:
        command = commands.add_parser(each.name, description=f"Measure {each.help}.")
        each.add_arguments(command)
        command.set_defaults(run=each.run)
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


if __name__ == "__main__":
    sys.exit(main())
