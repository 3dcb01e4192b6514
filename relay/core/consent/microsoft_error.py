"""Microsoft's text of a refusal: kept for people, limited in size, with secrets masked.

    AADSTS50173: The provided grant has expired … Trace ID: … Correlation ID: … Timestamp: …
          │                     │                    │              │               │
        number                words              trace_id    correlation_id        time

Microsoft's support asks for the last three.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

MOST_WORDS: Final = 500
"""Characters of Microsoft's text that are kept: the longest documented sentence has 430."""
_MOST_ID: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftError:
    """Microsoft's description of an error; a field is empty when Microsoft did not send it.

    Attributes:
        number: the AADSTS number; 0 without one.
        words: the sentence, at most `MOST_WORDS` characters on one line.
        trace_id: Microsoft's id of the request.
        correlation_id: the id that several requests of one operation share.
        time: as Microsoft wrote it.
    """

    number: int = 0
    words: str = ""
    trace_id: str = ""
    correlation_id: str = ""
    time: str = ""


NO_ERROR: Final = MicrosoftError()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRecord:
    """One refusal in its stored form.

    Attributes:
        code: Microsoft's short name: `error`, or `error/suberror`.
        at: time of the refusal, by our clock.
        said: Microsoft's text.
    """

    code: str
    at: datetime
    said: MicrosoftError = NO_ERROR


def parse_error(
    *, number: int = 0, description: str = "", trace_id: str = "", correlation_id: str = "", time: str = ""
) -> MicrosoftError:
    """Return Microsoft's description of an error, fit to be stored and shown.

    Args:
        number: the AADSTS number; 0: taken from the description.
        description: Microsoft's `error_description` or the like, of any length and content.
        trace_id: from a separate field of the answer; empty: taken from the description.
        correlation_id: like `trace_id`.
        time: like `trace_id`.
    """
    text = "".join(char if char.isprintable() else " " for char in description[:_MOST_READ])
    tail = _TAIL.search(text)
    words = " ".join(_TOKEN.sub(_masked, text[: tail.start()] if tail else text).split())
    named = _NUMBER.match(words)
    found = tail.groupdict() if tail else {}
    return MicrosoftError(
        number=number if 0 < number < _NUMBERS_END else int(named[1]) if named else 0,
        words=words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1] + "…",
        trace_id=_mark(trace_id) or _mark(found.get("trace", "")),
        correlation_id=_mark(correlation_id) or _mark(found.get("correlation", "")),
        time=_mark(time) or _mark(found.get("time", "")),
    )


def _mark(text: str) -> str:
    """Return an id or a time; an empty text for anything else."""
    text = text.strip()
    return text if _MARK.fullmatch(text) else ""


def _masked(found: re.Match[str]) -> str:
    """Mask a long word of capitals, small letters and digits: it may be a token or a secret. Addresses and GUIDs stay."""
    word = found.group()
    is_secret = any(c.isupper() for c in word) and any(c.islower() for c in word) and any(c.isdigit() for c in word)
    return "…" if is_secret else word


_MOST_READ: Final = 4000
_NUMBERS_END: Final = 1_000_000_000
_NUMBER: Final = re.compile(r"AADSTS(\d{1,9})\b")
_MARK: Final = re.compile(rf"[0-9A-Za-z:. +-]{{1,{_MOST_ID}}}")
_TOKEN: Final = re.compile(r"[\w.~+/=-]{24,}", re.ASCII)
_TAIL: Final = re.compile(
    r"\s*Trace ID:\s*(?P<trace>\S+)\s+Correlation ID:\s*(?P<correlation>\S+)(?:\s+Timestamp:\s*(?P<time>[\d: Z-]+))?"
)
