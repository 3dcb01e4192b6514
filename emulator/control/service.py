"""Control's routes. No credential is asked for: the cloud listens on loopback only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from emulator.entra.refusals import APPLICATION_DEATHS, DEATHS
from emulator.exchange import Answer, Request, json_answer
from emulator.faults import Fault
from emulator.life import ACTIONS
from emulator.presence import spell
from emulator.records import ApplicationRecord, application_record
from emulator.world import Application

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.cloud import Cloud
    from emulator.world import Person

PREFIX: Final = "/_emulator/"

T = TypeVar("T")


class _Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON body; unknown fields are refused, for they are slips."""


class Presence(_Body):
    """PUT people/{who}/presence."""

    availability: str | None = None
    activity: str | None = None
    status_message: str | None = None
    out_of_office: bool | None = None
    out_of_office_message: str | None = None
    sequence_number: str | None = None


class Act(_Body):
    """POST people/{who}/actions."""

    action: str
    device: str = ""
    text: str = ""


class NewPerson(_Body):
    """POST people."""

    tenant: str
    upn: str
    oid: str
    name: str = ""
    password: str = ""
    role: str = "user"
    licensed: bool = True


class Rename(_Body):
    """PUT people/{who}."""

    upn: str


class Grant(_Body):
    """POST grants."""

    account: str
    client_id: str
    scopes: list[str]


class Revoke(_Body):
    """POST grants/revoke."""

    account: str
    kind: str = "sessions_revoked"
    access_tokens: bool = False


class Restore(_Body):
    """POST grants/restore."""

    account: str


class Refuse(_Body):
    """POST applications/{client id}/refuse."""

    kind: str = ""


class Clock(_Body):
    """PUT clock."""

    speed: float | None = None
    advance_s: float | None = None


class JournalSettings(_Body):
    """PUT journal."""

    keep_ids: bool


class GapSettings(_Body):
    """PUT gaps."""

    enabled: bool


class Control:
    """The control surface."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", ""): self._index,
            ("GET", "people"): self._people,
            ("POST", "people"): self._add_person,
            ("GET", "switches"): lambda _: cloud.switches,
            ("PUT", "switches"): lambda request: cloud.set_switches(**_read(request, dict[str, Any])),
            ("GET", "faults"): lambda _: {"faults": cloud.faults.all()},
            ("POST", "faults"): lambda request: cloud.add_fault(_read(request, Fault)),
            ("DELETE", "faults"): lambda _: cloud.faults.remove(),
            ("GET", "grants"): lambda _: {"grants": cloud.grants()},
            ("POST", "grants"): self._grant,
            ("POST", "grants/revoke"): self._revoke,
            ("POST", "grants/restore"): lambda request: cloud.restore(_read(request, Restore).account),
            ("GET", "applications"): self._applications,
            ("PUT", "applications"): self._put_application,
            ("GET", "journal"): self._journal,
            ("PUT", "journal"): self._journal_settings,
            ("DELETE", "journal"): lambda _: cloud.journal.clear(),
            ("GET", "gaps"): lambda _: cloud.gap_report(),
            ("PUT", "gaps"): self._gap_settings,
            ("DELETE", "gaps"): lambda _: cloud.gaps.reset(),
            ("GET", "clock"): self._clock,
            ("PUT", "clock"): self._set_clock,
            ("POST", "reset"): lambda _: cloud.reset(),
        }

    def handle(self, request: Request) -> Answer:
        """Answer a request."""
        try:
            found = self._route(request)
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
            return json_answer({"error": str(error)}, 400)
        except LookupError as error:
            return json_answer({"error": str(error).strip("'\"")}, 404)
        return json_answer(found) if found is not None else Answer(204)

    def _route(self, request: Request) -> Any:
        path = request.path.removeprefix(PREFIX).strip("/")
        handler = self._routes.get((request.method, path))
        if handler is not None:
            return handler(request)
        match request.method, path.split("/"):
            case "GET", ["people", who]:
                return self._shown(self._cloud.person(who))
            case "PUT", ["people", who]:
                return self._shown(self._cloud.rename_person(who, _read(request, Rename).upn))
            case "DELETE", ["people", who]:
                return self._cloud.remove_person(who)
            case "GET", ["people", who, "presence"]:
                return self._shown(self._cloud.person(who))
            case "PUT", ["people", who, "presence"]:
                body = _read(request, Presence)
                return self._shown(self._cloud.set_presence(who, **msgspec.structs.asdict(body)))
            case "POST", ["people", who, "actions"]:
                return self._act(request, who)
            case "DELETE", ["faults", number] if number.isdecimal():
                return self._cloud.faults.remove(int(number))
            case "POST", ["applications", client_id, "refuse"]:
                return self._cloud.refuse_application(client_id, _read(request, Refuse).kind)
        raise LookupError(f"there is no {request.method} {path}")

    def _index(self, _request: Request) -> Any:
        return {
            "operations": [f"{method} {PREFIX}{path}" for method, path in self._routes],
            "actions": [*ACTIONS, "live"],
            "deaths": list(DEATHS),
            "application_deaths": list(APPLICATION_DEATHS),
        }

    def _people(self, request: Request) -> Any:
        """The people of a tenant, or of all; at most `limit`."""
        asked = request.queries()
        key, limit = asked.get("tenant", ""), int(asked.get("limit", "1000"))
        tenant = self._cloud.world.tenant(key) if key else None
        if key and tenant is None:
            raise LookupError(f"there is no tenant {key}")
        people = tenant.people.values() if tenant is not None else self._cloud.world.people()
        return {"people": [self._shown(person) for _, person in zip(range(limit), people, strict=False)]}

    def _add_person(self, request: Request) -> Any:
        body = _read(request, NewPerson)
        return self._shown(
            self._cloud.add_person(
                body.tenant, body.oid, body.upn, body.name or body.upn, password=body.password, role=body.role,
                licensed=body.licensed,
            )
        )  # fmt: skip

    def _shown(self, person: Person) -> dict[str, Any]:
        """A person as control shows one: what others see, and the devices behind it."""
        shown = spell(person.shown, self._cloud.switches)
        return {
            "id": person.oid, "upn": person.upn, "name": person.display_name, "tenant": person.tenant.tenant_id,
            "availability": shown.availability, "activity": shown.activity, "sequence_number": person.sequence,
            "status_message": person.status_message, "out_of_office": person.out_of_office, "desktop": person.desktop,
            "mobile": person.mobile, "doing": person.doing, "preferred": person.preferred, "licensed": person.licensed,
            "enabled": person.enabled, "refusal": person.refusal, "living": person.living,
        }  # fmt: skip

    def _act(self, request: Request, who: str) -> Any:
        body = _read(request, Act)
        if body.action == "live":
            self._cloud.live(who)
            return self._shown(self._cloud.person(who))
        return self._shown(self._cloud.act(who, body.action, device=body.device, text=body.text))

    def _grant(self, request: Request) -> Any:
        body = _read(request, Grant)
        return {"refresh_token": self._cloud.grant(body.account, body.client_id, set(body.scopes))}

    def _revoke(self, request: Request) -> None:
        body = _read(request, Revoke)
        self._cloud.revoke(body.account, body.kind, access_tokens=body.access_tokens)

    def _applications(self, _request: Request) -> Any:
        """The applications; secrets included, for nothing here is secret."""
        return {"applications": [application_record(each) for each in self._cloud.world.applications.values()]}

    def _put_application(self, request: Request) -> Any:
        """Register an application, or register it anew: redirect URIs, secrets and certificates are replaced."""
        record = _read(request, ApplicationRecord)
        self._cloud.put_application(Application(**msgspec.structs.asdict(record)))
        return record

    def _journal(self, request: Request) -> Any:
        asked = request.queries()
        status = int(asked["status"]) if "status" in asked else None
        found = self._cloud.journal.search(
            path=asked.get("path", ""),
            tenant=asked.get("tenant", ""),
            status=status,
            limit=int(asked.get("limit", "1000")),
        )
        return {"total": self._cloud.journal.total, "entries": found}

    def _journal_settings(self, request: Request) -> None:
        self._cloud.journal.keep_ids = _read(request, JournalSettings).keep_ids

    def _gap_settings(self, request: Request) -> None:
        self._cloud.gaps.enabled = _read(request, GapSettings).enabled
        self._cloud.gaps.reset()

    def _clock(self, _request: Request) -> Any:
        return {"speed": self._cloud.clock.speed, "now_s": self._cloud.clock.now()}

    def _set_clock(self, request: Request) -> Any:
        body = _read(request, Clock)
        if body.speed is not None:
            self._cloud.clock.set_speed(body.speed)
        if body.advance_s is not None:
            self._cloud.clock.advance(body.advance_s)
        return self._clock(request)


def _read(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(request.body or b"{}", type=kind)
