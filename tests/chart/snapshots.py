"""What each example becomes, in files, so that a review sees what a change does: `python -m tests.chart.snapshots` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.chart.engine import Helm
from tests.chart.examples import EXAMPLES, Renderings

FOLDER: Final = Path(__file__).parent / "snapshots"


def main() -> None:
    """Write the snapshot of every example, and remove those of examples that are gone."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.yaml"):
        if path.stem not in EXAMPLES:
            path.unlink()
    with Helm() as helm:
        for name, rendering in Renderings(helm).all().items():
            (FOLDER / f"{name}.yaml").write_text(rendering.text)


if __name__ == "__main__":
    main()
