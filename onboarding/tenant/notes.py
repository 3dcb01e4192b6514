"""What came of a step, in the words of whoever reads the next page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onboarding.languages import english
from onboarding.problems import PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onboarding.tenant.sessions import Note


@dataclass(frozen=True, slots=True)
class Said:
    """One note, as templates say it.

    Attributes:
        title: what happened, in a few words.
        text: what that means.
        remedy: what to do next, if anything.
        kind: good, quiet, warn, or empty for bad.
        about: whom or what it is about, or what Microsoft said.
    """

    title: str
    text: str
    remedy: str = ""
    kind: str = "good"
    about: str = ""


def said(note: Note | None) -> Said | None:
    """What a session's note says; None where there is nothing to say, or another release left it."""
    if note is None:
        return None
    if (found := NOTES.get(note.key)) is not None:
        return Said(found.title, found.text, found.remedy, found.kind, note.about)
    if (problem := PROBLEMS.get(note.key)) is not None:
        about = note.about if problem.shows_detail else ""
        return Said(problem.title, problem.text, problem.remedy, "", about)
    return None


NOTES: Final[Mapping[str, Said]] = {
    "unknown_thing": Said(
        english("That is not here any more"),
        english("Somebody else may have removed it meanwhile. Nothing was changed."),
        kind="warn",
    ),
}
