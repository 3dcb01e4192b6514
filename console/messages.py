"""The console's messages about the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pages.flashes import FlashMessage
from relay.administration.changes import Obstacle
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_OBSTACLES: Final[Mapping[Obstacle, str]] = {
    Obstacle.ALREADY_SUSPENDED: "already_suspended",
    Obstacle.WAITS_FOR_APPROVAL: "waits",
    Obstacle.HAS_LEFT: "has_left",
    Obstacle.NOT_SUSPENDED: "not_suspended",
    Obstacle.DOES_NOT_WAIT: "does_not_wait",
}

MESSAGES: Final[Mapping[str, FlashMessage]] = {
    "suspended": FlashMessage(
        english("The tenant is suspended"),
        english("The relay does not read it any more. Its suites show every user as unknown. Nothing was deleted."),
    ),
    "resumed": FlashMessage(english("The tenant is resumed"), english("The relay reads it again.")),
    "resumed_without_grant": FlashMessage(
        english("The tenant is resumed and needs consent"),
        english("None of its accounts works, so nothing is read."),
        english("Someone at the organisation must renew the consent on its page."),
        kind="warn",
    ),
    "approved": FlashMessage(
        english("The tenant is approved"),
        english("The relay reads it from now on. Its managers can make suite keys."),
    ),
    "mapped": FlashMessage(english("The mapping was changed"), english("Suites show the new statuses within seconds.")),
    "unchanged": FlashMessage(english("Nothing was changed"), english("The mapping has not changed."), kind="quiet"),
    "conflict": FlashMessage(
        english("Someone else changed the mapping"),
        english("Your change was not saved. The form shows the saved values."),
        english("Check the values, then make your change again."),
        kind="warn",
    ),
    "already_suspended": FlashMessage(
        english("The tenant was suspended already"), english("Nothing was changed."), kind="quiet"
    ),
    "not_suspended": FlashMessage(
        english("The tenant is not suspended"),
        english("Someone else may have resumed it. Nothing was changed."),
        kind="quiet",
    ),
    "does_not_wait": FlashMessage(
        english("The tenant does not wait for approval"),
        english("Someone else may have decided. Nothing was changed."),
        kind="quiet",
    ),
    "waits": FlashMessage(
        english("The tenant waits for approval"),
        english("It is not read yet, so it cannot be suspended. Nothing was changed."),
        kind="warn",
    ),
    "has_left": FlashMessage(
        english("The tenant has left"),
        english("The tenant is no longer on this relay. Nothing was changed."),
        kind="warn",
    ),
    "checked_again": FlashMessage(
        english("Your access was checked again"),
        english("Microsoft had to check your access before your last step. The step was not carried out."),
        english("Repeat the step."),
        kind="warn",
    ),
}
