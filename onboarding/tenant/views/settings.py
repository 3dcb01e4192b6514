"""The settings of a tenant, in groups; each group is a separate form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.tenant.access import Action
from onboarding.tenant.layout import SETTINGS
from onboarding.tenant.setting_forms import (
    GROUPS,
    MAX_LIST_CHARS,
    MAX_URL_CHARS,
    NOTIFY_SECRET,
    SECRET_CHARS,
    SHOWN,
    TOO_LONG,
    mark,
    seen,
)
from pages import mapping_form
from pages.problems import ProblemError
from relay.core.watching import permission
from relay.locale.languages import Language, english
from relay.store.custody.notices import NoticeKind
from relay.store.custody.tenants import SettingsConflict
from relay.store.sealing import notify_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.reauthentication import Reauthentication
    from onboarding.tenant.services import TenantServices
    from onboarding.tenant.setting_forms import SettingGroup

log = structlog.get_logger(__name__)


class SettingViews:
    """Views of the settings."""

    def __init__(self, services: TenantServices, reauthentication: Reauthentication) -> None:
        self._services = services
        self._reauthentication = reauthentication
        reauthentication.register("end-opt-outs", Action.CHANGE_SETTINGS, self._remove_opt_outs_confirmed)

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(SETTINGS, self.show, methods=["GET"]),
            Route(f"{SETTINGS}/{{group}}", self.save, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show all settings."""
        visitor = await self._services.auth.visitor(request, Action.SEE_TENANT)
        return await self._page(visitor, visitor.tenant.settings)

    async def save(self, request: Request) -> Response:
        """Save one group.

        Only the settings that were changed on the page are written, so two people who change different ones both succeed. If
        another person changed the same setting meanwhile, nothing is written and the page shows the conflict.
        """
        services = self._services
        group = GROUPS.get(request.path_params["group"])
        if group is None:
            raise ProblemError("not_found")
        visitor, given = await services.auth.form(request, Action.CHANGE_SETTINGS, mapping_form.MAX_FIELDS)
        current = visitor.tenant.settings
        values, faults = group.check(given, current)
        if faults:
            typed = {**current, **{name: given.get(name, "") for name in group.settings if name in given}}
            return await self._page(visitor, typed, 422, group=group, faults=faults, marked=given.get("seen", ""))
        before = seen(given.get("seen", ""), current, values)
        changed = {name: value for name, value in values.items() if not _is_as_seen(name, value, given, current)}
        changed, ended = _with_opt_outs(changed, current)
        if len(changed.get(permission.WATCH_NEVER, "")) > MAX_LIST_CHARS:
            faults = {permission.WATCH_NEVER: [TOO_LONG]}
            return await self._page(visitor, {**current, **values}, 422, group=group, faults=faults)
        try:
            await self._write(visitor, group, changed, {name: before[name] for name in changed})
        except SettingsConflict as conflict:
            return await self._conflict(visitor, group, values, conflict.names)
        if ended:
            return await self._reauthentication.require(request, visitor, "end-opt-outs", {"names": "\n".join(ended)})
        await services.layout.flash(visitor, "settings_saved" if changed else "settings_same")
        return RedirectResponse(f"{SETTINGS}#{group.name}", status_code=303)

    async def _write(
        self, visitor: Visitor, group: SettingGroup, changed: Mapping[str, str], before: Mapping[str, str]
    ) -> None:
        if not changed:
            return
        services = self._services
        if set(changed) & set(permission.SETTINGS):
            await services.enforcement.begin(visitor.tenant_id)
        if secret := changed.get(NOTIFY_SECRET):
            changed = {**changed, NOTIFY_SECRET: notify_secrets.seal(services.vault.ring, visitor.tenant_id, secret)}
        shown = SHOWN | {name for name in changed if name.startswith(mapping_form.PREFIX)}
        await services.tenants.change_settings(visitor.tenant_id, changed, visitor.actor, shown, seen=before)
        log.info("tenant_settings_changed", tenant_id=visitor.tenant_id, group=group.name)

    async def _remove_opt_outs_confirmed(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """Remove opt-outs after the password was typed again; entries that others added meanwhile stay."""
        services, never = self._services, permission.WATCH_NEVER
        kept = visitor.tenant.settings.get(never, "")
        ended = set(what.get("names", "").split("\n"))
        left = [name for name in permission.tidied(kept).split("\n") if name not in ended]
        try:
            await self._write(visitor, GROUPS["watching"], {never: "\n".join(left)}, {never: kept})
        except SettingsConflict:
            await services.layout.flash(visitor, "opt_outs_changed")
            return RedirectResponse(SETTINGS, status_code=303)
        about = ", ".join(sorted(ended))
        await services.letters.to_managers(visitor.tenant, NoticeKind.OPT_OUTS_ENDED, visitor.actor, about=about)
        await services.layout.flash(visitor, "settings_saved")
        return RedirectResponse(f"{SETTINGS}#watching", status_code=303)

    async def _conflict(
        self, visitor: Visitor, group: SettingGroup, wanted: Mapping[str, str], names: frozenset[str]
    ) -> Response:
        """Show the values that another person saved meanwhile next to the typed ones; sending the form again saves the latter."""
        tenant = await self._services.tenants.load(visitor.tenant_id)
        now = tenant.settings if tenant is not None else {}
        typed = {**now, **{name: value for name, value in wanted.items() if name != NOTIFY_SECRET}}
        others = [(name, "" if name == NOTIFY_SECRET else now.get(name, "")) for name in sorted(names)]
        return await self._page(visitor, typed, 409, group=group, marked=mark(group.of(now)), conflicts=others)

    async def _page(
        self,
        visitor: Visitor,
        settings: Mapping[str, str],
        status: int = 200,
        *,
        group: SettingGroup | None = None,
        faults: Mapping[str, Any] | None = None,
        marked: str = "",
        conflicts: list[tuple[str, str]] | None = None,
    ) -> Response:
        kept = visitor.tenant.settings
        marks = {one.name: mark(one.of(kept)) for one in GROUPS.values()}
        if group is not None and marked:
            marks[group.name] = marked
        return await self._services.layout.page(
            visitor,
            "tenant/settings.html",
            SETTINGS,
            english("Settings"),
            status=status,
            groups=GROUPS,
            settings=settings,
            marks=marks,
            at_fault=group.name if group is not None else "",
            faults=faults or {},
            conflicts=conflicts or [],
            names=NAMES,
            languages_offered=tuple(Language),
            has_secret=bool(kept.get(NOTIFY_SECRET)),
            secret_chars=SECRET_CHARS,
            list_chars=MAX_LIST_CHARS,
            url_chars=MAX_URL_CHARS,
            **mapping_form.shown(settings),
            changed_rows=len(mapping_form.overrides(settings)),
        )


def _with_opt_outs(changed: Mapping[str, str], current: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the changes that may be written now, and the opt-outs to remove, which need the password again first."""
    never = permission.WATCH_NEVER
    if never not in changed:
        return dict(changed), []
    # The operator's command stores the text as typed.
    wanted, kept = changed[never].split("\n"), permission.tidied(current.get(never, "")).split("\n")
    ended = [name for name in kept if name and name not in wanted]
    everybody = permission.tidied("\n".join([*kept, *wanted]))
    at_once = {name: value for name, value in changed.items() if name != never}
    if everybody != current.get(never, ""):
        at_once[never] = everybody
    return at_once, ended


def _is_as_seen(name: str, value: str, given: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """Return whether a value equals the one that the form was shown with, so the form does not change it.

    A value equal to the stored one counts as unchanged. So does a value that another person changed meanwhile and that this form
    still has in its earlier state.
    """
    if value == current.get(name, ""):
        return True
    return seen(given.get("seen", ""), {name: value}, {name: ""})[name] == value


NAMES: Final = {
    "contact_name": english("Contact name"),
    "contact_email": english("Contact e-mail"),
    "language": english("Language"),
    "pass_status_message": english("Status message"),
    "pass_out_of_office": english("Out of office"),
    "pass_names": english("Name and mail address"),
    "watch_domains": english("Domains"),
    "watch_only": english("Users"),
    "watch_never": english("Users who opted out"),
    "notify_url": english("Address"),
    "notify_secret": english("Secret"),
}
"""Setting -> its label."""
