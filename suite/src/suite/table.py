"""The live table: each user's status, its times, and a mark for uncertain ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from suite import events as ev
from suite.icons import ICONS, REASONS, UNKNOWN, clean, words
from suite.values import ConsoleStatus, Source, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, RenderableType

    from suite.held import Answer, Resolution
    from suite.values import Presence

    Find = Callable[[str], tuple[Resolution | None, Answer | None]]

_FRAME_LINES: Final = 7
"""Lines of the screen without users: two of the header, four of the table, one for the number of users left out."""
_ROOMY: Final = 130
"""Least width of the screen, in characters, that shows all columns. Narrower screens show only the important ones."""


@dataclass(slots=True)
class Connection:
    """The state of the connection and the tenant, for the header."""

    address: str
    state: str = "connecting"
    is_up: bool = False
    tenant: Status | None = None
    confirmed: datetime | None = None
    poll_interval: timedelta | None = None

    def note(self, event: ev.Event) -> None:
        """Update the header's values from an event."""
        match event:
            case ev.Connected(outcome):
                self.state, self.is_up = f"connected ({outcome.label})", True
            case ev.Disconnected(reason, retry_in):
                again = f"again in {retry_in.total_seconds():.0f} s" if retry_in else "trying again"
                self.state, self.is_up = f"{reason} ({again})", False
            case ev.TenantStatus(status, contact_time, poll_interval):
                self.tenant = status
                self._fresh(contact_time, poll_interval)
            case ev.Progress(contact_time, poll_interval):
                self._fresh(contact_time, poll_interval)
            case ev.Changed(presence=presence) if presence is not None:
                self._fresh(presence.observe_time, None)

    def _fresh(self, confirmed: datetime | None, poll_interval: timedelta | None) -> None:
        if confirmed is not None and (self.confirmed is None or confirmed > self.confirmed):
            self.confirmed = confirmed
        self.poll_interval = poll_interval or self.poll_interval

    @property
    def is_certain(self) -> bool:
        """Return True while answers are certain: connected, and the tenant can be read."""
        return self.is_up and self.tenant in {None, Status.NONE}


def render(names: Sequence[str], find: Find, connection: Connection, console: Console, now: datetime) -> RenderableType:
    """Return the whole screen, cut to the console's height."""
    fitting = max(console.height - _FRAME_LINES, 1)
    shown = names[:fitting]
    table = _empty_table(console.width)
    for name in shown:
        cells = _cells(name, *find(name), certain=connection.is_certain, plain=not _draws_unicode(console))
        table.add_row(
            *(cell for cell, column in zip(cells, _COLUMNS, strict=True) if column.from_columns <= console.width)
        )
    below = [Text(f"… and {len(names) - len(shown)} more", style="dim")] if len(names) > len(shown) else []
    return Group(*_header(connection, len(names), now), table, *below)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: `ratio` is its share of the free width, or `width` is fixed. Screens narrower than `from_columns` leave it out."""

    title: str
    ratio: int | None = None
    width: int | None = None
    from_columns: int = 0


_COLUMNS: Final = (
    _Column("user", ratio=4),
    _Column("name or UPN", ratio=4, from_columns=_ROOMY),
    _Column("status", width=17),  # "- do not disturb?"
    _Column("idle since", width=10),
    _Column("since", width=8),
    _Column("Microsoft says, or why unknown", ratio=6),
    _Column("by", width=12, from_columns=_ROOMY),
)


def _empty_table(width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, expand=True, header_style="bold", border_style="grey37", pad_edge=False)
    for column in _COLUMNS:
        if column.from_columns <= width:
            table.add_column(column.title, no_wrap=True, overflow="ellipsis", ratio=column.ratio, width=column.width)
    return table


def _header(connection: Connection, count: int, now: datetime) -> list[Text]:
    dot = ("● ", "green3") if connection.is_up else ("● ", "red")
    first = Text.assemble(
        dot, (connection.address, "bold"), "  ", (clean(connection.state), "" if connection.is_up else "red")
    )
    if connection.tenant is None:
        tenant = Text("organisation: not known yet", style="dim")
    elif connection.tenant is Status.NONE:
        tenant = Text("organisation: readable", style="green3")
    else:
        tenant = Text(f"organisation: {REASONS[connection.tenant]}", style="bold dark_orange")
    tenant.append(
        f"  ·  {count} {'user' if count == 1 else 'users'}  ·  {_freshness(connection, now)}", style="not bold default"
    )
    for line in (first, tenant):
        line.no_wrap, line.overflow = True, "ellipsis"
    return [first, tenant]


def _freshness(connection: Connection, now: datetime) -> str:
    every = f", read every {connection.poll_interval.total_seconds():g} s" if connection.poll_interval else ""
    if connection.confirmed is None:
        return f"not confirmed yet{every}"
    age_s = max((now - connection.confirmed).total_seconds(), 0)  # the relay's clock may be ahead of ours
    return f"confirmed {_age(age_s)} ago{every}"


def _age(age_s: float) -> str:
    if age_s < 90:
        return f"{age_s:.0f} s"
    return f"{age_s / 60:.0f} min" if age_s < 5400 else f"{age_s / 3600:.0f} h"


def _cells(
    name: str, resolution: Resolution | None, answer: Answer | None, *, certain: bool, plain: bool
) -> list[Text]:
    presence = answer.presence if answer else None
    if answer is None or presence is None:
        status = (answer.status if answer else None) or (resolution.status if resolution else None) or Status.PENDING
        blank = Text("")
        unknown = Text(f"{UNKNOWN.ascii if plain else UNKNOWN.glyph} unknown", style=UNKNOWN.colour)
        return [Text(clean(name)), blank, unknown, blank, blank, Text(REASONS[status], style="italic dim"), blank]
    return [
        Text(clean(name)),
        Text(clean(presence.display_name or presence.upn), style="dim"),
        _status(presence.console_status, certain=certain and not answer.is_uncertain, plain=plain),
        Text(_clock(presence.idle_time)),
        Text(_clock(presence.observe_time)),
        Text(_raw(presence), style="dim"),
        Text("" if presence.source is Source.UNKNOWN else presence.source.label, style="dim"),
    ]


def _status(status: ConsoleStatus, *, certain: bool, plain: bool) -> Text:
    icon = ICONS[status]
    mark = "" if certain else "?"
    return Text(f"{icon.ascii if plain else icon.glyph} {words(status)}{mark}", style=icon.colour if certain else "dim")


def _raw(presence: Presence) -> str:
    both = f"{presence.raw_availability}/{presence.raw_activity}"
    return clean(presence.raw_availability if presence.raw_availability == presence.raw_activity else both)


def _clock(time: datetime | None) -> str:
    if time is None:
        return ""
    local = time.astimezone()
    return f"{local:%H:%M:%S}" if datetime.now(UTC) - time < timedelta(hours=20) else f"{local:%d %b}"


def _draws_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")
