"""Documents of the repository, with the commands and examples in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENTS: Final = tuple(
    sorted(
        {
            *ROOT.glob("*.md"),
            *(
                path
                for folder in ("docs", "deploy", "suite", "emulator", "tests")
                for path in (ROOT / folder).rglob("*.md")
            ),
        }
    )
)
"""All pages."""

_FENCED: Final = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED: Final = re.compile(r"(?:^(?: {4}|\t)[^\n]*\n)+", re.MULTILINE)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_PROGRAMS: Final = ("presence-relay", "presence-suite", "make", "python")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, with the language that its fence names; empty for an indented one."""

    language: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of code of a document."""
    for fenced in _FENCED.finditer(text):
        yield Block(fenced[2], "".join(line.removeprefix(fenced[1]) for line in fenced[3].splitlines(keepends=True)))
    for indented in _INDENTED.finditer(_FENCED.sub("", text)):
        yield Block("", "".join(line[4:] for line in indented[0].splitlines(keepends=True)))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of this project's programs in a document: those in text and those in blocks."""
    for inline in _INLINE.findall(_FENCED.sub("", text)):
        yield from _command(inline)
    for block in blocks(text):
        if block.language in {"", "sh"}:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from _command(line)


def _command(line: str) -> Iterator[list[str]]:
    """Yield the words of a line if it calls one of the programs, its path and the shell's own words left out."""
    first = line.split(maxsplit=1)[0].rpartition("/")[2] if line.strip() else ""
    if first not in _PROGRAMS:
        return
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a sentence with an apostrophe
        return
    end = next((at for at, word in enumerate(words) if word in {"|", "&&", ";", ">"}), len(words))
    yield [first, *words[1:end]]
