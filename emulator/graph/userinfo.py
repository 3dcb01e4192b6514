"""`/oidc/userinfo`: the signed-in user, for clients of OpenID Connect.

https://learn.microsoft.com/entra/identity-platform/userinfo
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.entra.discovery import USERINFO
from emulator.entra.tokens import subject
from emulator.exchange import Answer, json_answer
from emulator.graph.access import RequiredPermission, demand, signed_in
from emulator.hosts import CLOUDS

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.graph.access import Caller

PATH: Final = USERINFO
_OPENID: Final = RequiredPermission(delegated=("openid",))


def answer(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """Return the claims that the token's scopes allow; `sub` is that of the application's id tokens.

    Raises:
        GraphError: there is no signed-in user, or the token has no scope `openid`.
    """
    person = signed_in(caller)
    demand(caller, _OPENID, code="Forbidden")
    application = cloud.world.application(caller.app_id)
    assert application is not None  # only registered applications get tokens, and none is ever removed
    found = {"sub": subject(person, application)}
    if "profile" in caller.scopes:
        given, _, family = person.display_name.partition(" ")
        picture = f"https://{CLOUDS[request.cloud].graph}/v1.0/me/photo/$value"
        found |= {"name": person.display_name, "family_name": family, "given_name": given, "picture": picture}
    if "email" in caller.scopes:
        found["email"] = person.home or person.upn
    return json_answer(found)
