"""Messages about the last step, shown once on the next page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pages.problems import PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Mapping


class Flash(msgspec.Struct, frozen=True):
    """A message for the next page, shown once: a key of the site's messages or of `PROBLEMS`, and the person or thing that it is about."""

    key: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class FlashMessage:
    """One message, as templates show it.

    Attributes:
        title: what happened, in a few words.
        text: what that means.
        remedy: what to do next, if anything.
        kind: good, quiet, warn, or empty for bad.
        about: the person or thing concerned, or Microsoft's error text.
    """

    title: str
    text: str
    remedy: str = ""
    kind: str = "good"
    about: str = ""


def message_in(messages: Mapping[str, FlashMessage], flash: Flash | None) -> FlashMessage | None:
    """Return the message that a session holds; None if it holds none, or one that this release does not know.

    Args:
        messages: of the site, by key.
        flash: of the session.
    """
    if flash is None:
        return None
    if (found := messages.get(flash.key)) is not None:
        return FlashMessage(found.title, found.text, found.remedy, found.kind, flash.about)
    if (problem := PROBLEMS.get(flash.key)) is not None:
        about = flash.about if problem.shows_detail else ""
        return FlashMessage(problem.title, problem.text, problem.remedy, "", about)
    return None
