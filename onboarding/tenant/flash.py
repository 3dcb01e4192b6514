"""Messages about the last step, shown once on the next page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onboarding.problems import PROBLEMS
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onboarding.tenant.sessions import Flash


@dataclass(frozen=True, slots=True)
class FlashMessage:
    """One message, as templates show it.

    Attributes:
        title: what happened, in a few words.
        text: what that means.
        remedy: what to do next, if anything.
        kind: good, quiet, warn, or empty for bad.
        about: the person or thing that it is about, or Microsoft's sentence.
    """

    title: str
    text: str
    remedy: str = ""
    kind: str = "good"
    about: str = ""


def message_of(flash: Flash | None) -> FlashMessage | None:
    """Return the message that a session holds; None when it holds none, or one that only another release knows."""
    if flash is None:
        return None
    if (found := MESSAGES.get(flash.key)) is not None:
        return FlashMessage(found.title, found.text, found.remedy, found.kind, flash.about)
    if (problem := PROBLEMS.get(flash.key)) is not None:
        about = flash.about if problem.shows_detail else ""
        return FlashMessage(problem.title, problem.text, problem.remedy, "", about)
    return None


MESSAGES: Final[Mapping[str, FlashMessage]] = {
    "unknown_thing": FlashMessage(
        english("That is not here any more"),
        english("Somebody else may have removed it meanwhile. Nothing was changed."),
        kind="warn",
    ),
    "waits_for_approval": FlashMessage(
        english("Your organisation waits for approval"),
        english("There are no suite keys before that. Nothing was made."),
        english("When it is approved, make a key here."),
        kind="warn",
    ),
    "account_added": FlashMessage(
        english("The account was added"),
        english(
            "It has been tried: it can read presence. Reading goes on with the others if one of them stops working."
        ),
    ),
    "account_renewed": FlashMessage(
        english("The account works again"),
        english("It has been tried: it can read presence. Suites, keys and settings are as they were."),
    ),
    "account_replaced": FlashMessage(
        english("The account was replaced"),
        english("The new one has been tried: it can read presence. The former one’s access is deleted here."),
    ),
    "account_withdrawn": FlashMessage(
        english("The account was withdrawn"),
        english("Its access is deleted here. Reading goes on with the other accounts."),
    ),
    "last_withdrawn": FlashMessage(
        english("The last account was withdrawn"),
        english("Its access is deleted here. Nothing is read any more, and suites show every colleague as unknown."),
        english("Grant again whenever you like: suites, keys and settings are kept."),
        kind="warn",
    ),
    "opt_outs_changed": FlashMessage(
        english("The list was changed meanwhile"),
        english("Somebody else saved it while you were at Microsoft. Nothing of yours was changed."),
        english("Look at the list, and take the entries off again."),
        kind="warn",
    ),
    "manager_added": FlashMessage(
        english("They look after the organisation now"),
        english("They can open this page and change everything on it, as you can. They need no account that reads."),
    ),
    "manager_there": FlashMessage(
        english("They look after the organisation already"), english("Nothing was changed."), kind="quiet"
    ),
    "too_many_managers": FlashMessage(
        english("Too many people look after the organisation"),
        english("There may be 50. Nothing was changed."),
        english("End the right of those who need it no more."),
        kind="warn",
    ),
    "manager_ended": FlashMessage(
        english("Their right was ended"),
        english(
            "They cannot open this page any more, at once. If the relay reads with their account, it goes on reading."
        ),
    ),
    "last_manager": FlashMessage(
        english("Somebody must look after the organisation"),
        english("This is the last one. Nothing was changed."),
        english("Name somebody else first."),
        kind="warn",
    ),
    "name_unknown": FlashMessage(
        english("There is no such account"),
        english("Microsoft knows nobody of this name in your organisation. Nothing was changed."),
        english("Type the name that they sign in with, such as ada@contoso.com, or their object id."),
        kind="warn",
    ),
    "name_of_guest": FlashMessage(
        english("This is a guest"),
        english(
            "Guests sign in to the organisation that they come from, so they cannot open this page. Nothing was changed."
        ),
        english("Name somebody with an account of your organisation."),
        kind="warn",
    ),
    "name_without_grant": FlashMessage(
        english("Nobody can look this name up"),
        english("No account reads for your organisation at the moment. Nothing was changed."),
        english("Grant again with an account, then name them."),
        kind="warn",
    ),
    "name_not_looked_up": FlashMessage(
        english("The name was not looked up"),
        english("Microsoft did not answer, or lets the account that reads see no names. Nothing was changed."),
        english("Try again in a minute. If it stays so, ask whoever runs this relay to name them."),
        kind="warn",
    ),
    "request_accepted": FlashMessage(
        english("The account reads for your organisation now"),
        english("It has been tried: it can read presence. It may not open this page unless you name it."),
    ),
    "request_refused": FlashMessage(
        english("The request was refused"), english("Its access is deleted here. Whoever asked sees that.")
    ),
    "suite_renamed": FlashMessage(
        english("The suite was renamed"), english("The name is for you; suites do not see it.")
    ),
    "key_revoked": FlashMessage(
        english("The key was revoked"),
        english("The suite’s connections end within seconds, and it cannot connect with this key again."),
    ),
    "too_many_keys": FlashMessage(
        english("There are too many keys"),
        english("An organisation may have 100 suite keys that work. Nothing was made."),
        english("Revoke those that no suite needs."),
        kind="warn",
    ),
    "key_ends_already": FlashMessage(
        english("This key ends already"),
        english("Another key took its place, or it was revoked. Nothing was changed."),
        kind="warn",
    ),
    "settings_saved": FlashMessage(english("Saved"), english("The settings are in force.")),
    "settings_same": FlashMessage(
        english("Nothing was changed"), english("The settings are as they were."), kind="quiet"
    ),
}
