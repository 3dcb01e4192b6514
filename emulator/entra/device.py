"""The device code flow: a device shows a code, a person types it in at a browser and signs in, and the device polls until then.

    POST /{tenant}/oauth2/v2.0/devicecode   → device code, user code, address to type it in
    GET  /common/oauth2/deviceauth          the page for the user code; POST goes on to the sign-in
    POST /{tenant}/oauth2/v2.0/token        → `authorization_pending` until a person has signed in or declined

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from emulator.entra import national, pages, parameters, refusals
from emulator.entra.flows import Code, Device, Flow, Shelf
from emulator.entra.issuing import token_answer
from emulator.entra.refusals import Refused
from emulator.entra.scopes import read, split

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.signin import SignIn
    from emulator.exchange import Answer, Request
    from emulator.world import Application, Person, Tenant

PAGE: Final = "oauth2/deviceauth"
_SLACK_S: Final = 0.5
"""Tolerance for a device that polls too early: its clock and the network are not exact."""


class Devices:
    """The waiting devices, by their device code and by their user code; if there are too many, the oldest are dropped."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._by_device_code: Shelf[Device] = Shelf(lambda: cloud.switches.device_code_s, cloud.clock.utc)
        self._by_user_code: Shelf[Device] = Shelf(lambda: cloud.switches.device_code_s, cloud.clock.utc)

    def begin(
        self, request: Request, form: dict[str, str], segment: str, tenant: Tenant | None, application: Application
    ) -> Answer:
        """Return a device's codes.

        Raises:
            Refused: the scopes are refused.
        """
        scopes = split(parameters.demand(form, "scope"))
        national.check_resources(request, scopes)
        wanted, switches = read(scopes, application), self._cloud.switches
        device = Device(
            application=application, segment=segment, tenant=tenant, scopes=scopes, permissions=wanted.permissions,
            own=wanted.own, capabilities=parameters.capabilities(form), interval_s=switches.device_code_interval_s,
        )  # fmt: skip
        device_code, page = f"1.{secrets.token_urlsafe(48)}", f"{request.base}/common/{PAGE}"
        self._by_device_code.put(device_code, device)
        self._by_user_code.put(device.user_code, device)
        return token_answer(
            {
                "user_code": device.user_code, "device_code": device_code, "verification_uri": page,
                "expires_in": int(switches.device_code_s), "interval": switches.device_code_interval_s,
                "message": f"To sign in, use a web browser to open the page {page} and enter the code {device.user_code} to authenticate.",
            }
        )  # fmt: skip

    def page(self, request: Request, sign_in: SignIn) -> Answer:
        """Return the page for a user code; with a code, the sign-in."""
        typed = request.form().get("user_code", "").strip().upper() if request.method == "POST" else ""
        device = self._by_user_code.get(typed)
        if device is None:
            return pages.device(refusals.shown(Refused(refusals.USER_CODE_UNKNOWN)) if typed else "")
        if self._by_user_code.expired(typed) or device.code is not None or device.refused is not None:
            return pages.device(refusals.shown(Refused(refusals.USER_CODE_EXPIRED)))
        request.app_id = device.application.client_id
        flow = Flow(
            segment=device.segment, application=device.application, redirect_uri="", state=None, scopes=device.scopes,
            permissions=device.permissions, own=device.own, capabilities=device.capabilities, device=device,
        )  # fmt: skip
        return sign_in.begin(request, flow, device.tenant)

    def poll(self, form: dict[str, str], application: Application) -> Code:
        """Return the code of the person who typed in a device's user code and signed in.

        Raises:
            Refused: the sign-in is pending, was declined or has expired, or the device polls too often.
        """
        device_code = parameters.demand(form, "device_code")
        device = self._by_device_code.get(device_code)
        if device is None:
            raise Refused(refusals.DEVICE_CODE_UNKNOWN)
        if device.application is not application:
            raise Refused(refusals.CODE_OTHER_CLIENT)
        if self._by_device_code.expired(device_code):
            raise Refused(refusals.DEVICE_CODE_EXPIRED)
        if device.refused is not None:
            raise device.refused
        if device.code is not None:
            if device.code.redeemed:
                raise Refused(refusals.CODE_REUSED)
            return device.code
        now = self._cloud.clock.utc()
        too_early = device.polled and now - device.polled < device.interval_s - _SLACK_S
        device.polled = now
        if too_early:
            device.interval_s += 5  # https://www.rfc-editor.org/rfc/rfc8628#section-3.5
            raise Refused(refusals.SLOW_DOWN)
        raise Refused(refusals.DEVICE_PENDING)


def approve(flow: Flow, device: Device, person: Person, issued: float) -> Answer:
    """Give a device the code of a sign-in, dated `issued` in seconds since 1970."""
    device.code = Code(flow=flow, person=person, amr=flow.amr, issued=issued)
    return pages.device_done(flow)


def decline(device: Device, refused: Refused) -> None:
    """End a device's wait with a refusal: consent was declined, or a policy forbids it."""
    device.refused = Refused(refusals.spelled(refused.refusal, "authorization_declined"))
