"""The rules of aggregation as tables for the documentation. Each cell is a result of `aggregate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.agent.core.aggregate import aggregate
from suite.agent.core.values import (
    PhoneSource,
    RichState,
    RichStatement,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def shown_table() -> str:
    """Return a table in Markdown: a row for each rich state, a column for each state of the phone, the shown status in each cell."""
    phones = list(TelephonyState)
    head = ["rich presence", *(f"phone {phone.value.replace('_', ' ')}" for phone in phones)]
    rows = [[f"**{rich.value}**", *(_shown(rich, phone) for phone in phones)] for rich in RichState]
    return _table(head, rows)


def winner_table() -> str:
    """Return a table in Markdown: the rich source that counts. A row for each set of sources that know, a column for each winning technology."""
    head = ["sources that know the colleague", *(f"{winning.value} wins" for winning in SourceName)]
    rows = [
        [_or_none([source.value for source in knowing]), *(_winner(winning, knowing) for winning in SourceName)]
        for knowing in _subsets()
    ]
    return _table(head, rows)


def _shown(rich: RichState, phone: TelephonyState) -> str:
    telephony = {PhoneSource.LOCAL: TelephonyStatement(state=phone)}
    found = aggregate({SourceName.TEAMS: RichStatement(state=rich)}, telephony, SourceName.TEAMS)
    return f"`{found.status.value}`"


def _winner(winning: SourceName, knowing: list[SourceName]) -> str:
    said = {source: RichStatement(state=RichState.AVAILABLE) for source in knowing}
    source = aggregate(said, {}, winning).rich_source
    return source.value if source is not None else "none"


def _subsets() -> Iterator[list[SourceName]]:
    sources = list(SourceName)
    for bits in range(2 ** len(sources)):
        yield [source for place, source in enumerate(sources) if bits >> place & 1]


def _or_none(words: list[str]) -> str:
    return ", ".join(words) or "none"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
