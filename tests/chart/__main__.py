"""Check the custom resources of all examples: `python -m tests.chart [DIR]`, which is `make chart-check CRDS=DIR`.

Says what was not checked when there is no folder, or when the folder lacks a definition.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.chart.engine import Helm
from tests.chart.examples import Renderings
from tests.chart.kubernetes import definitions, is_custom, lines


def main(folder: Path | None) -> int:
    """Check all examples; return the exit code."""
    known = definitions(folder) if folder is not None else {}
    checked: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    faults: list[str] = []
    with Helm() as helm:
        for name, rendering in Renderings(helm).all().items():
            for document in filter(is_custom, rendering.documents):
                what = f"{document['apiVersion']} {document['kind']}"
                validator = known.get((document["apiVersion"], document["kind"]))
                if validator is None:
                    unknown[what] += 1
                    continue
                checked[what] += 1
                faults += [f"{name}: {fault}" for fault in lines(document, validator)]
    for what, count in sorted(checked.items()):
        sys.stdout.write(f"checked      {what}: {count}\n")
    for what, count in sorted(unknown.items()):
        sys.stdout.write(f"not checked  {what}: {count}; no definition{'' if folder else ', no folder: CRDS=DIR'}\n")
    for fault in faults:
        sys.stdout.write(f"WRONG        {fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else None))
