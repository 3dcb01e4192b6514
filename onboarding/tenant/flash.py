"""The messages of the tenant's page about the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pages.flashes import FlashMessage
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGES: Final[Mapping[str, FlashMessage]] = {
    "unknown_thing": FlashMessage(
        english("This entry no longer exists"),
        english("Someone else may have removed it. Nothing was changed."),
        kind="warn",
    ),
    "waits_for_approval": FlashMessage(
        english("Your organisation waits for approval"),
        english("You can make suite keys after approval. No key was made."),
        english("When your organisation is approved, make a key here."),
        kind="warn",
    ),
    "account_added": FlashMessage(
        english("Account added"),
        english("The account can read presence. If one account stops working, reading continues with the others."),
    ),
    "account_renewed": FlashMessage(
        english("The account works again"),
        english("The account can read presence. Suites, keys and settings have not changed."),
    ),
    "account_replaced": FlashMessage(
        english("The account was replaced"),
        english("The new account can read presence. The consent of the previous account was deleted."),
    ),
    "account_withdrawn": FlashMessage(
        english("The account was withdrawn"),
        english("Its consent was deleted. Reading continues with the other accounts."),
    ),
    "last_withdrawn": FlashMessage(
        english("The last account was withdrawn"),
        english("Its consent was deleted. The relay reads nothing, and suites show every colleague as unknown."),
        english("You can renew the consent at any time. Suites, keys and settings are kept."),
        kind="warn",
    ),
    "opt_outs_changed": FlashMessage(
        english("Someone else changed the list"),
        english("The list was saved while you were signing in at Microsoft. Your change was not saved."),
        english("Check the list, then remove the entries again."),
        kind="warn",
    ),
    "manager_added": FlashMessage(
        english("Manager added"),
        english(
            "The new manager can open this page and change everything on it. The relay does not read presence with their account."
        ),
    ),
    "manager_there": FlashMessage(
        english("This person is a manager already"), english("Nothing was changed."), kind="quiet"
    ),
    "too_many_managers": FlashMessage(
        english("There are too many managers"),
        english("An organisation can have 50 managers. Nothing was changed."),
        english("Remove managers who no longer need access."),
        kind="warn",
    ),
    "manager_ended": FlashMessage(
        english("Manager removed"),
        english(
            "This person can no longer open this page. If the relay reads presence with their account, it continues to do so."
        ),
    ),
    "last_manager": FlashMessage(
        english("The organisation needs a manager"),
        english("This is the last manager. Nothing was changed."),
        english("Add another manager first."),
        kind="warn",
    ),
    "name_unknown": FlashMessage(
        english("There is no such account"),
        english("Microsoft found no account with this name in your organisation. Nothing was changed."),
        english("Enter the user name, such as ada@contoso.com, or the object id."),
        kind="warn",
    ),
    "name_of_guest": FlashMessage(
        english("This is a guest"),
        english("Guests sign in to their own organisation, so they cannot open this page. Nothing was changed."),
        english("Add a person with an account of your organisation."),
        kind="warn",
    ),
    "name_without_grant": FlashMessage(
        english("This name cannot be looked up"),
        english("No account reads for your organisation at the moment. Nothing was changed."),
        english("Renew the consent with an account, then add the manager."),
        kind="warn",
    ),
    "name_not_looked_up": FlashMessage(
        english("The name was not looked up"),
        english("Microsoft did not answer, or the account that reads presence cannot see names. Nothing was changed."),
        english("Try again in a minute. If that does not help, ask the relay operator to add the manager."),
        kind="warn",
    ),
    "request_accepted": FlashMessage(
        english("The account reads for your organisation now"),
        english("The account can read presence. It cannot open this page unless you add it as a manager."),
    ),
    "request_refused": FlashMessage(
        english("The request was refused"),
        english("The consent was deleted. The person who asked can see the refusal."),
    ),
    "suite_renamed": FlashMessage(english("The suite was renamed"), english("Only you see this name.")),
    "key_revoked": FlashMessage(
        english("The key was revoked"),
        english("The suite’s connections end within seconds, and it cannot connect with this key again."),
    ),
    "too_many_keys": FlashMessage(
        english("There are too many keys"),
        english("An organisation can have 100 suite keys that work. No key was made."),
        english("Revoke keys that no suite needs."),
        kind="warn",
    ),
    "key_ends_already": FlashMessage(
        english("This key is already ending"),
        english("It was replaced by another key or revoked. Nothing was changed."),
        kind="warn",
    ),
    "settings_saved": FlashMessage(english("Saved"), english("The settings apply from now on.")),
    "settings_same": FlashMessage(
        english("Nothing was changed"), english("The settings have not changed."), kind="quiet"
    ),
}
