"""Sign-ins at Microsoft that await its answer. Each is sealed in Redis under its `state`, usable once, and bound to its browser."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from pages.browser_secrets import fingerprint
from pages.problems import OF_CONSENT
from relay.graph.auth.consent import ConsentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.errors import ConsentRequired
    from relay.graph.auth.consent import ConsentFlow
    from relay.store.sealing.quotas import Quota
    from relay.store.sealing.short_lived import Flows

_MAX_STATE_CHARS: Final = 200
MAX_DETAIL_CHARS: Final = 300


class SignInFailed(Exception):
    """A sign-in failed.

    Attributes:
        problem: a key of `problems.PROBLEMS`.
        detail: Microsoft's error text, or the account, if that helps.
        is_of_another_browser: whether the sign-in exists but began in another browser.
    """

    def __init__(self, problem: str, detail: str = "", *, is_of_another_browser: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.detail = detail[:MAX_DETAIL_CHARS]
        self.is_of_another_browser = is_of_another_browser

    @classmethod
    def of(cls, error: ConsentFailed | ConsentRequired) -> SignInFailed:
        """Return the failure for a refusal by Microsoft."""
        if isinstance(error, ConsentFailed):
            return cls(OF_CONSENT[error.problem], error.sentence)
        return cls("refused", str(error))


class BoundSignIn(msgspec.Struct, frozen=True):
    """The fields of a sign-in that belongs to one browser.

    Attributes:
        returning: fingerprint of the secret in its browser's return cookie.
        kept: the PKCE verifier and the nonce, for `Consent`.
    """

    returning: str
    kept: dict[str, Any]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


P = TypeVar("P", bound=msgspec.Struct)


class PendingSignIns(Generic[P]):
    """The sign-ins of a site that Microsoft has not answered yet. Raises the errors of `Flows`."""

    def __init__(self, flows: Flows, quota: Quota, kind: type[P], prefix: str) -> None:
        """Make the sign-ins of a site.

        Args:
            flows: stores them.
            quota: how many there may be.
            kind: their type. A sign-in that another release wrote in another format counts as missing.
            prefix: prefix of their names in the store.
        """
        self._flows = flows
        self._quota = quota
        self._kind = kind
        self._prefix = prefix

    async def keep(self, state: str, pending: P) -> None:
        """Store a sign-in until Microsoft answers."""
        await self._flows.put(self._name(state), msgspec.json.encode(pending).decode(), quota=self._quota)

    async def begin(self, begun: ConsentFlow, pending: P) -> str:
        """Store a sign-in that `Consent` began; return Microsoft's address for the browser."""
        await self.keep(begun.state, pending)
        return begun.authorize_url

    async def take(self, state: str) -> P | None:
        """Return the sign-in of a state; None when there is none. It cannot be taken again."""
        if not 0 < len(state) <= _MAX_STATE_CHARS:
            return None
        taken = await self._flows.take(self._name(state), self._quota)
        try:
            return None if taken is None else msgspec.json.decode(taken, type=self._kind)
        except msgspec.DecodeError:
            return None

    def _name(self, state: str) -> str:
        return f"{self._prefix}:{state}"


B = TypeVar("B", bound=BoundSignIn)


async def take_bound(pending: PendingSignIns[B], answer: Mapping[str, str], return_secret: str) -> B:
    """Return the sign-in that an answer from Microsoft belongs to. It cannot be taken again.

    Args:
        pending: the site's.
        answer: Microsoft's.
        return_secret: the secret in the browser's return cookie; empty: there was none, and Redis is not read.

    Raises:
        SignInFailed: it was taken before, has expired, or was begun in another browser.
    """
    taken = await pending.take(answer.get("state", "")) if return_secret else None
    if taken is None or not hmac.compare_digest(taken.returning, fingerprint(return_secret)):
        raise SignInFailed("sign_in_stale", is_of_another_browser=taken is not None)
    return taken
