"""Copy every page into one folder for MkDocs: `python -m deploy.site.assemble FOLDER`, which `make site` runs.

Pages are written to be read in the repository too, and some lie outside `docs/`, beside what they describe. Here each gets its place in
the site, and its links lead there. A file that a page links to, and that is no page, is copied beside them.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = "deploy/helm/teams-presence-relay"
ELSEWHERE: Final[Mapping[str, str]] = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "develop/architecture.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "operate/security.md",
    "LICENSE": "license.txt",
    f"{CHART}/README.md": "operate/chart.md",
    f"{CHART}/UPGRADING.md": "operate/chart-upgrading.md",
    "emulator/README.md": "develop/local-cloud.md",
    "suite/CHANGELOG.md": "suites/changelog.md",
    "suite/README.md": "suites/python.md",
    "protos/relay/api/presence/v1": "reference/protocol.md",
}
"""What lies outside docs/ -> its place in the site."""

_DOCS: Final = "docs/"
_FILES: Final = "files"
_LINK: Final = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
_CODE: Final = re.compile(r"^(?:```.*?^```|    \S[^\n]*)$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def site() -> dict[str, str | Path]:
    """Return each file of the site: its path in the site -> its text, or the file in the checkout that it is a copy of."""
    sources = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*")) if path.is_file()]
    sources += [source for source in ELSEWHERE if (ROOT / source).is_file()]
    made: dict[str, str | Path] = {}
    for source in sources:
        if source.endswith(".md"):
            made[_place(source)] = _with_links(source, made)
        else:
            made[_place(source)] = ROOT / source
    return made


def _place(source: str) -> str:
    """Return the path in the site of a file of the checkout."""
    if source in ELSEWHERE:
        return ELSEWHERE[source]
    return source.removeprefix(_DOCS) if source.startswith(_DOCS) else f"{_FILES}/{source}"


def _with_links(source: str, made: dict[str, str | Path]) -> str:
    """Return a page's text with links that lead to places in the site. Files that are no pages are added to `made`."""
    here = posixpath.dirname(_place(source))

    def moved(link: re.Match[str]) -> str:
        if "://" in link[2] or link[2].startswith("mailto:"):
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        place = _place(target)
        if place.startswith(_FILES) and (ROOT / target).is_file():
            made[place] = ROOT / target
        return f"{link[1]}{posixpath.relpath(place, here or '.')}{link[3]}"

    text = (ROOT / source).read_text()
    parts: list[str] = []
    position = 0
    for code in _CODE.finditer(text):
        # GitHub wants a bar in a cell's code escaped, and MkDocs shows the escape.
        parts += [_LINK.sub(moved, text[position : code.start()]), code[0].replace("\\|", "|")]
        position = code.end()
    return "".join([*parts, _LINK.sub(moved, text[position:])])


def main(folder: Path) -> None:
    """Write the files, after deleting what an earlier run wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    for place, content in site().items():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            file.write_text(content)
        else:
            shutil.copyfile(content, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
