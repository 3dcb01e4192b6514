"""Keeps the files that list every switch whole: the emulator's profiles, and what the relay's probe begins with.

A profile has every switch, because the emulator refuses one that lacks any. People write those that matter, with the reason;
below the line `REST` stand the others, as the emulator begins with them. `make profiles` writes that part anew.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from emulator import Switches
from emulator.profile import Profile, written

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "emulator" / "profiles"
DEFAULTS: Final = ROOT / "relay" / "probe" / "defaults.toml"
REST: Final = "# The rest is as the emulator begins with it. `make profiles` writes it."


def files() -> list[Path]:
    """Every file that is to be whole."""
    return [*sorted(FOLDER.glob("*.toml")), DEFAULTS]


def whole(text: str) -> str:
    """A profile's text with the rest of the switches below the line."""
    own = text.partition(REST)[0].rstrip()
    chosen: dict[str, Any] = tomllib.loads(own).get("switches", {})
    rest = {name: value for name, value in msgspec.to_builtins(Switches()).items() if name not in chosen}
    lines = written(Profile(switches=rest)).partition("[switches]\n")[2]
    return f"{own}\n\n{REST}\n{lines}"


def main() -> int:
    """Write all of them anew."""
    for file in files():
        file.write_text(whole(file.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
