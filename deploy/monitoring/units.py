"""Numbers as a dashboard shows them, and the marks of an axis. (Pure.)"""

from __future__ import annotations

import math
from typing import Final

_TIMES: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES: Final = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_COUNTS: Final = ((1e6, "M"), (1e3, "k"), (1.0, ""))
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def words(value: float, unit: str) -> str:
    """Return a number with its unit; the units are those of `boards.Panel`."""
    match unit:
        case "s":
            return _scaled(value, _TIMES, " ")
        case "bytes":
            return _scaled(value, _BYTES, " ")
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "reqps" | "ops":
            return f"{_scaled(value, _COUNTS, '')}/s"
    return _scaled(value, _COUNTS, "")


def marks(greatest: float, unit: str, most: int = 4) -> list[float]:
    """Return the marks of an axis from 0 to beyond the greatest value, at most one more than `most`."""
    if not greatest > 0:
        return [0.0, 1.0]
    base = 2.0 if unit == "bytes" else 10.0
    wanted = greatest / most
    power = base ** math.floor(math.log(wanted, base))
    steps = (1.0, 2.0) if unit == "bytes" else _STEPS
    step = next(power * each for each in steps if power * each >= wanted * (1 - 1e-9))
    return [step * number for number in range(math.ceil(greatest / step - 1e-9) + 1)]


def _scaled(value: float, scale: tuple[tuple[float, str], ...], between: str) -> str:
    if value == 0:
        return f"0{between}{'s' if scale is _TIMES else scale[-1][1]}".strip()
    size, name = next((each for each in scale if abs(value) >= each[0] * 0.9995), scale[-1])
    number = value / size
    shown = f"{number:.0f}" if abs(number) >= 99.5 else f"{number:.3g}"
    return f"{shown}{between}{name}".strip()
