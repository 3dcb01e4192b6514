"""Reads values.yaml with its comments: every key, also those that are unset (`#key: example`), with what is said about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.chart.engine import CHART, LOADER

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY: Final = re.compile(r"^(?P<indent> *)(?P<unset>#?)(?P<key>[A-Za-z][\w-]*):(?: |$)")
_COMMENT: Final = re.compile(r"^ *# (?P<text>.*)$")

_PATHS: Final = """\
{{/* Every value that has a default. One that is set to null is refused by its path. Generated from values.yaml: make docs. */}}
{{- define "teams-presence-relay.paths" -}}"""


@dataclass
class Value:
    """One value of the chart.

    Attributes:
        path: its keys from the root.
        comment: what values.yaml says about it.
        default: its default; of an unset one, the example.
        is_set: False for `#key: example`.
        below: the values in it.
    """

    path: tuple[str, ...]
    comment: str
    default: Any
    is_set: bool
    below: dict[str, Value] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path with points."""
        return ".".join(self.path)

    def __iter__(self) -> Iterator[Value]:
        """Yield this value and all below."""
        yield self
        for each in self.below.values():
            yield from each


def documented() -> Value:
    """Return all values, as a tree whose root has no path."""
    text = (CHART / "values.yaml").read_text()
    root = Value((), "", yaml.load(text, Loader=LOADER), is_set=True)
    # A document with the unset keys set, for their types.
    whole = yaml.load(re.sub(r"^( *)#([A-Za-z][\w-]*:)", r"\1\2", text, flags=re.MULTILINE), Loader=LOADER)
    open_values, comments = [(-1, root)], []
    for line in text.splitlines():
        if found := _COMMENT.match(line):
            comments.append(found["text"])
        elif found := _KEY.match(line):
            depth = len(found["indent"])
            while open_values[-1][0] >= depth:
                open_values.pop()
            above = open_values[-1][1]
            path = (*above.path, found["key"])
            value = Value(path, " ".join(comments), _at(whole, path), is_set=not found["unset"])
            if comments or above is root or above.comment:
                above.below[found["key"]] = value
            if value.comment:
                open_values.append((depth, value))
            comments = []
        else:
            comments = []
    return root


def paths_text() -> str:
    """Return the text of templates/_paths.tpl: each value that has a default, a section before what is in it."""
    paths = [value.name for value in documented() if value.path and value.is_set and value.path[0] != "global"]
    return "\n".join([_PATHS, *paths, "{{- end -}}", ""])


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree
