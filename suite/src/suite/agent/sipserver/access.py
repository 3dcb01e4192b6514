"""Access control of the SIP server: networks first, then a digest challenge or a client certificate.

The sender address of a datagram can be forged, and NOTIFYs are sent to it. So a client outside of the networks receives a refusal only, and
where logins are set, a client that cannot read the digest challenge receives no NOTIFY.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from suite.sip.challenges import AuthenticatedUser, DigestServer
from suite.sip.digest import HashedPassword

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.settings.kinds import Network
    from suite.agent.settings.sip_files import SipLogin
    from suite.sip.flows import Flow
    from suite.sip.incoming import Incoming, Refusal

log = logging.getLogger(__name__)

_LOGGED_KEPT: Final = 256
SILENT_S: Final = 10.0


class _Admitted(Protocol):
    """A subscription that was admitted."""

    flow: Flow
    user: str


class SipAccess:
    """Admits watchers and publishers by the current settings."""

    def __init__(self, settings: SipServerSettings, silent_s: float = SILENT_S) -> None:
        """Take the first settings.

        Args:
            settings: networks and logins of watchers and publishers.
            silent_s: seconds after which a phone that does not answer digest challenges is logged.
        """
        self._settings = settings
        self._watchers = DigestServer(realm=settings.realm, password_of=self._watcher)
        self._publishers = DigestServer(realm=settings.realm, password_of=self._publisher)
        self._logged: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Address and reason of refusals that were logged, the oldest first."""
        self._silent_s = silent_s
        self._unanswered: OrderedDict[str, float] = OrderedDict()
        """Address -> the time of its first challenge since it last sent a login."""
        self._changed_logins: frozenset[str] = frozenset()
        """User names whose login is new or changed in the current settings."""
        self.use(settings)

    def use(self, settings: SipServerSettings) -> None:
        """Apply new settings. Challenges that were sent stay valid."""
        before, self._settings = self._settings.logins, settings
        self._changed_logins = frozenset(name for name, login in settings.logins.items() if before.get(name) != login)
        for door in (self._watchers, self._publishers):
            door.realm, door.algorithms = settings.realm, settings.algorithms
        self._logged.clear()
        self._unanswered.clear()

    def watch(self, incoming: Incoming) -> Refusal | None:
        """Return the refusal or digest challenge of a SUBSCRIBE or REGISTER; None admits it."""
        address, settings = incoming.flow.peer[0], self._settings
        if self.is_server(address):
            return None
        if not _is_in(address, settings.networks):
            return self._refused(address, "it is not in SipServer.Networks")
        if not settings.logins or self._has_certificate(incoming.flow):
            return None
        return self._challenged(incoming, self._watchers, "watching")

    def publish(self, incoming: Incoming) -> Refusal | None:
        """Return the refusal or digest challenge of a PUBLISH; None admits it."""
        address, publishers = incoming.flow.peer[0], self._settings.publishers
        if not _is_in(address, publishers.networks):
            return self._refused(address, "it publishes, and is not in SipServer.PublishNetworks")
        return self._challenged(incoming, self._publishers, "publishing") if publishers.logins else None

    def is_server(self, address: str) -> bool:
        """Return whether an address is that of a telephone system or proxy, which carries many phones."""
        return _is_in(address, self._settings.servers)

    def ended(self, watcher: _Admitted) -> str:
        """Return the reason (RFC 6665 4.1.3) for which the current settings end an admitted subscription; empty if it may continue."""
        address, settings = watcher.flow.peer[0], self._settings
        if self.is_server(address):
            return ""
        if not _is_in(address, settings.networks):
            return "rejected"
        is_logged_in = watcher.user in settings.logins and watcher.user not in self._changed_logins
        if not settings.logins or self._has_certificate(watcher.flow) or is_logged_in:
            return ""
        return "deactivated"  # the phone subscribes again, and is challenged then

    def _has_certificate(self, flow: Flow) -> bool:
        return flow.has_certificate and self._settings.client_ca_pem is not None

    def _challenged(self, incoming: Incoming, door: DigestServer, what: str) -> Refusal | None:
        found = door.check(incoming.request, asyncio.get_running_loop().time())
        if isinstance(found, AuthenticatedUser):
            self._unanswered.pop(incoming.flow.peer[0], None)
            incoming.user = found.name
            return None
        self._log_challenge(incoming, door, what)
        return 401, "Unauthorized", tuple(found)

    def _log_challenge(self, incoming: Incoming, door: DigestServer, what: str) -> None:
        """Log a wrong login, and a phone that does not answer challenges. A first challenge, and one for a stale nonce, are normal."""
        address, now = incoming.flow.peer[0], asyncio.get_running_loop().time()
        if incoming.request.headers.lines("authorization"):
            self._unanswered.pop(address, None)
            if door.is_wrong(incoming.request):
                self.log_refusal(address, f"its user name or password for {what} is wrong")
            return
        first = self._unanswered.setdefault(address, now)
        if len(self._unanswered) > _LOGGED_KEPT:
            self._unanswered.popitem(last=False)
        if now - first >= self._silent_s:
            algorithms = "" if self._settings.algorithms == ("MD5",) else ". If it has both, set SipServer.Digest = MD5"
            self.log_refusal(address, f"it does not log in. Check that it has a user name and password{algorithms}")

    def _refused(self, address: str, why: str) -> Refusal:
        self.log_refusal(address, why)
        return 403, "Forbidden", ()

    def log_refusal(self, address: str, why: str) -> None:
        """Log a refusal, once for each address and reason. The last `_LOGGED_KEPT` are remembered."""
        if (address, why) in self._logged:
            return
        self._logged[address, why] = None
        if len(self._logged) > _LOGGED_KEPT:
            self._logged.popitem(last=False)
        log.warning("sip server: %s is refused: %s", address, why)

    def _watcher(self, name: str) -> str | HashedPassword | None:
        return _password(self._settings.logins, name)

    def _publisher(self, name: str) -> str | HashedPassword | None:
        return _password(self._settings.publishers.logins, name)


def _password(logins: Mapping[str, SipLogin], name: str) -> str | HashedPassword | None:
    login = logins.get(name)
    if login is None:
        return None
    return HashedPassword(login.hashes) if login.hashes else login.password


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    bare = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(bare in network for network in networks)
