"""The doors of the SIP server: networks first, then a login or a certificate.

An address that a datagram comes from can be forged, and NOTIFYs go back there. So nobody outside of the networks is answered more than a
refusal, and with logins nobody who cannot read the challenge.
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

_TOLD_KEPT: Final = 256
SILENT_S: Final = 10.0


class _Admitted(Protocol):
    """Something that was admitted: a subscription."""

    flow: Flow
    user: str


class SipAccess:
    """Lets in who may watch, and who may publish, by the settings of the moment."""

    def __init__(self, settings: SipServerSettings, silent_s: float = SILENT_S) -> None:
        """Take the first settings.

        Args:
            settings: who may watch, and who may publish.
            silent_s: time after which the log says that a phone does not answer when it is asked to log in.
        """
        self._settings = settings
        self._watchers = DigestServer(realm=settings.realm, password_of=self._watcher)
        self._publishers = DigestServer(realm=settings.realm, password_of=self._publisher)
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Address and reason of refusals that the log has."""
        self._silent_s = silent_s
        self._unanswered: OrderedDict[str, float] = OrderedDict()
        """Address -> the time of its first challenge since it last sent a login."""
        self._changed_logins: frozenset[str] = frozenset()
        """Logins of the settings of the moment that were others in those before."""
        self.use(settings)

    def use(self, settings: SipServerSettings) -> None:
        """Go on with other settings. Challenges that were sent stay answerable."""
        before, self._settings = self._settings.logins, settings
        self._changed_logins = frozenset(name for name, login in settings.logins.items() if before.get(name) != login)
        for door in (self._watchers, self._publishers):
            door.realm, door.algorithms = settings.realm, settings.algorithms
        self._told.clear()
        self._unanswered.clear()

    def watch(self, incoming: Incoming) -> Refusal | None:
        """Refuse a SUBSCRIBE of somebody who may not watch; ask for a login where one is needed."""
        address, settings = incoming.flow.peer[0], self._settings
        if self.is_server(address):
            return None
        if not _is_in(address, settings.networks):
            return self._refused(address, "it is not in SipServer.Networks")
        if not settings.logins or self._has_certificate(incoming.flow):
            return None
        return self._challenged(incoming, self._watchers, "watching")

    def publish(self, incoming: Incoming) -> Refusal | None:
        """Refuse a PUBLISH of somebody who may not publish; ask for a login where one is needed."""
        address, publishers = incoming.flow.peer[0], self._settings.publishers
        if not _is_in(address, publishers.networks):
            return self._refused(address, "it publishes, and is not in SipServer.PublishNetworks")
        return self._challenged(incoming, self._publishers, "publishing") if publishers.logins else None

    def is_server(self, address: str) -> bool:
        """Return whether an address is that of a telephone system or proxy, which carries many phones."""
        return _is_in(address, self._settings.servers)

    def ended(self, watcher: _Admitted) -> str:
        """Return the reason for which a subscription that was admitted by other settings must end; empty if it may go on."""
        address, settings = watcher.flow.peer[0], self._settings
        if self.is_server(address):
            return ""
        if not _is_in(address, settings.networks):
            return "rejected"
        is_logged_in = watcher.user in settings.logins and watcher.user not in self._changed_logins
        if not settings.logins or self._has_certificate(watcher.flow) or is_logged_in:
            return ""
        return "deactivated"  # it subscribes again, and is asked for a login

    def _has_certificate(self, flow: Flow) -> bool:
        return flow.has_certificate and self._settings.client_ca_pem is not None

    def _challenged(self, incoming: Incoming, door: DigestServer, what: str) -> Refusal | None:
        found = door.check(incoming.request, asyncio.get_running_loop().time())
        if isinstance(found, AuthenticatedUser):
            self._unanswered.pop(incoming.flow.peer[0], None)
            incoming.user = found.name
            return None
        self._tell_of_challenge(incoming, door, what)
        return 401, "Unauthorized", tuple(found)

    def _tell_of_challenge(self, incoming: Incoming, door: DigestServer, what: str) -> None:
        """Tell of a wrong login, and of a phone that does not answer challenges. Each phone is challenged first, and again when its nonce is old."""
        address, now = incoming.flow.peer[0], asyncio.get_running_loop().time()
        if incoming.request.headers.lines("authorization"):
            self._unanswered.pop(address, None)
            if door.is_wrong(incoming.request):
                self.tell(address, f"its user name or password for {what} is wrong")
            return
        first = self._unanswered.setdefault(address, now)
        if len(self._unanswered) > _TOLD_KEPT:
            self._unanswered.popitem(last=False)
        if now - first >= self._silent_s:
            algorithms = "" if self._settings.algorithms == ("MD5",) else ". If it has both, set SipServer.Digest = MD5"
            self.tell(address, f"it does not log in. Check that it has a user name and password{algorithms}")

    def _refused(self, address: str, why: str) -> Refusal:
        self.tell(address, why)
        return 403, "Forbidden", ()

    def tell(self, address: str, why: str) -> None:
        """Write a refusal to the log, once for an address and reason until many others came."""
        if (address, why) in self._told:
            return
        self._told[address, why] = None
        if len(self._told) > _TOLD_KEPT:
            self._told.popitem(last=False)
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
