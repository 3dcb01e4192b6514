"""The settings themselves, a group for each concern: names, meanings, defaults with their reasons, and what cannot be.

`config` puts them together and hands them to the parts of the relay. The table in the README follows from this file.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from onboarding.settings import Pace, Rooms, WebSettings
from relay.alerts.settings import MailSettings
from relay.core import names
from relay.core.addresses import mail_address
from relay.core.consent.tenant import SignUp
from relay.core.push.subscription import MAX_USERS, SubscriptionPolicy
from relay.core.push.watchdog import ANNOUNCED_WITHIN
from relay.core.watching.limits import HIGHEST, MOST_NAMES
from relay.graph.auth.credentials import is_pair
from relay.graph.push.certificates import Certificates as EncryptionCertificates
from relay.graph.settings import MAX_BULK_SIZE, ClientCertificate, GraphSettings
from relay.settings import env as variables
from relay.settings.clear_text import IN_THE_CLEAR, PLAIN, goes_in_the_clear, is_loopback
from relay.settings.env import Duration, Group, Material, Secret
from relay.settings.http import Proxies
from relay.store.custody.sign_ups import SignUpLimits
from relay.store.sealing.keyring import KeyRing, KeyRingInvalid
from relay.store.sealing.marks import PublicMarks
from relay.store.sealing.signing import PublicKeysInvalid
from relay.webhook.settings import PREFIX
from relay.worker.settings import PushSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self


CloudName = Literal["global", "gcc-high", "dod", "custom"]

# https://learn.microsoft.com/graph/deployments. GCC is in the global cloud; 21Vianet has no presence at all.
CLOUDS: Final[Mapping[str, tuple[str, str]]] = {
    "global": ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "gcc-high": ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "dod": ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
}


def _redis_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("is no Redis URL; it begins with redis://, rediss:// or unix://")
    if not _is_whole(value.get_secret_value()):
        raise ValueError(_NOT_ENCODED)
    return value


_NOT_ENCODED: Final = (
    "cannot be read; what has a meaning in a URL must be percent-encoded in its user name and password: "
    "/ as %2F, # as %23, ? as %3F, % as %25"
)


def _is_whole(url: str) -> bool:
    """Whether a Redis URL means what it says: a password with `/`, `#` or `?` ends the host early, and another host may be left."""
    try:
        parts = urlsplit(url)
        place = (parts.hostname, parts.port)  # the port is read only when it is asked for
    except ValueError:
        return False
    if parts.scheme == "unix":
        return not parts.fragment and (not parts.netloc or "@" in parts.netloc)
    return not parts.fragment and "@" not in parts.path + parts.query and place[0] is not None


def _listed(value: str) -> list[str]:
    """What stands between commas."""
    return list(filter(None, map(str.strip, value.split(","))))


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError(f"{value!r} is no address; it begins with http:// or https://")
    return value.rstrip("/")


def _https_address(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError(f"{value!r} must begin with https://")
    return value.rstrip("/")


def _key_ring(value: SecretStr) -> SecretStr:
    try:
        KeyRing.from_json(value.get_secret_value())
    except KeyRingInvalid as error:
        raise ValueError(str(error)) from None
    return value


def _mark_keys(value: str) -> str:
    try:
        PublicMarks(value)
    except PublicKeysInvalid as error:
        raise ValueError(f"cannot be used: {error}") from None
    return value


def _certificates(value: str) -> str:
    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValueError("is no certificate in PEM form") from None
    return value


def _private_key(value: SecretStr) -> SecretStr:
    try:
        load_pem_private_key(value.get_secret_value().encode(), password=None)
    except TypeError:
        raise ValueError("is encrypted; give the key without a password") from None
    except Exception:  # noqa: BLE001, RUF100  the library raises many kinds for one cause, and their texts may show the key
        raise ValueError("is no private key in PEM form") from None
    return value


def _client_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text or text[:1] in "\"'" or text[-1:] in "\"'":
        raise ValueError(
            "is in quotes, or has characters that no secret of Microsoft's has; copy the secret's value, and nothing around it"
        )
    return value


def _listen_host(value: str) -> str:
    """As sockets take it. Brackets around an IPv6 address are what URLs and gRPC write."""
    return value[1:-1] if value.startswith("[") and value.endswith("]") and ":" in value else value


RedisUrl = Annotated[Secret, AfterValidator(_redis_url)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
HttpsAddress = Annotated[str, AfterValidator(_https_address)]
Certificates = Annotated[Material, AfterValidator(_certificates)]
PrivateKey = Annotated[Secret, AfterValidator(_private_key)]
ClientSecret = Annotated[Secret, AfterValidator(_client_secret)]
ListenHost = Annotated[str, AfterValidator(_listen_host)]
Ring = Annotated[Secret, AfterValidator(_key_ring)]
MarkKeys = Annotated[Material, AfterValidator(_mark_keys)]
Port = Annotated[int, Field(ge=0, le=65535)]
SECOND: Final = timedelta(seconds=1)
_USUAL: Final = SubscriptionPolicy()
RENEWAL_SPREAD: Final = 1.2
"""The latest renewal is so many times as late as the earliest, so that many tenants do not come together."""


def _demand_tls(url: SecretStr | None, name: str, *, plaintext: bool) -> None:
    if url is not None and not plaintext and goes_in_the_clear(url.get_secret_value()):
        raise ValueError(f"{name}: {IN_THE_CLEAR.format(name.rpartition('REDIS_')[0] + 'REDIS_PLAINTEXT')}")


class RedisConfig(Group):
    """Redis or Valkey."""

    model_config = SettingsConfigDict(env_prefix="RELAY_REDIS_")

    url: RedisUrl | None = Field(
        None, description="Redis or Valkey with presence; `redis://`, `rediss://` or `unix://`"
    )
    operation_timeout: Duration = Field(
        timedelta(seconds=5), ge=timedelta(milliseconds=100), description="how long one command may take"
    )
    plaintext: bool = Field(
        default=False,
        description="whether `redis://` may go to another host: without TLS the password and presence cross the network in "
        "the clear; only inside a tunnel or a mesh that encrypts",
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        _demand_tls(self.url, "RELAY_REDIS_URL", plaintext=self.plaintext)
        return self


class VaultConfig(Group):
    """Custody: grants, suite keys, tenants."""

    model_config = SettingsConfigDict(env_prefix="RELAY_VAULT_")

    redis_url: RedisUrl | None = Field(
        None, description="a server of its own for grants, suite keys and tenants; else they are with presence"
    )
    redis_plaintext: bool = Field(
        default=False, description="the same as `RELAY_REDIS_PLAINTEXT`, for that server with grants and suite keys"
    )
    replicas: int = Field(
        0, ge=0, le=5, description="replicas that must have a durable write on disk before it counts as kept"
    )
    key_ring: Ring | None = Field(
        None, description="JWK set that grants are encrypted with; `presence-relay keyring new` makes one"
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        _demand_tls(self.redis_url, "RELAY_VAULT_REDIS_URL", plaintext=self.redis_plaintext)
        return self


CREDENTIAL_FIELDS: Final = frozenset(
    f"{prefix}{name}" for prefix in ("", "second_") for name in ("client_secret", "certificate", "private_key")
)
"""The fields of `CloudConfig` that are the relay's credentials."""


class CloudConfig(Group):
    """Microsoft's side."""

    model_config = SettingsConfigDict(env_prefix="RELAY_CLOUD_")

    name: CloudName = Field(
        "global",
        description="`global` (GCC included), `gcc-high`, `dod`, or `custom` with the two addresses below",
        json_schema_extra={"variable": "RELAY_CLOUD"},
    )
    authority_url: HttpsAddress | None = Field(None, description="Entra's address, for `custom` only")
    graph_url: HttpsAddress | None = Field(None, description="Graph's address, for `custom` only")
    ca: Certificates | None = Field(None, description="certificates to trust for the two, instead of the system's")
    client_id: str | None = Field(None, description="application id of the app registration")
    client_secret: ClientSecret | None = Field(None, description="its secret; a certificate is better")
    certificate: Certificates | None = Field(None, description="its certificate, PEM")
    private_key: PrivateKey | None = Field(None, description="the certificate's private key, PEM, without a password")
    second_client_secret: ClientSecret | None = Field(
        None, description="a second credential beside the first, while one takes the other's place: its secret,"
    )
    second_certificate: Certificates | None = Field(None, description="or its certificate, PEM,")
    second_private_key: PrivateKey | None = Field(None, description="with its private key, PEM, without a password")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        for field in ("authority_url", "graph_url"):
            is_given = getattr(self, field) is not None
            if is_given is not (self.name == "custom"):
                need = "must not be set unless" if is_given else "must be set when"
                yield f"{variables.variable_of(type(self), field)}: {need} RELAY_CLOUD is custom"
        yield from _credential_faults("", self.client_secret, self.certificate, self.private_key)
        second = (self.second_client_secret, self.second_certificate, self.second_private_key)
        yield from _credential_faults("SECOND_", *second)
        if any(second) and self.client_secret is None and self.certificate is None:
            yield "RELAY_CLOUD_SECOND_…: is given without a first credential; call it the first"

    @property
    def notifies(self) -> bool:
        """Whether the cloud has change notifications for presence: the national ones have not."""
        return self.name in ("global", "custom")

    def public_settings(self) -> GraphSettings:
        """What is needed to read what Microsoft publishes; to be called when a client id is there."""
        authority, graph = CLOUDS.get(self.name, (self.authority_url, self.graph_url))
        assert self.client_id is not None
        assert authority is not None
        assert graph is not None
        return GraphSettings(
            client_id=self.client_id, anonymous=True, authority_url=authority, graph_url=graph, ca_pem=self.ca
        )

    def graph_settings(self) -> GraphSettings:
        """What the Graph adapter needs; to be called when a client id and a credential are there."""
        return replace(
            self.public_settings(),
            anonymous=False,
            client_secret=_revealed(self.client_secret),
            certificate=_client_certificate(self.certificate, self.private_key),
            second_client_secret=_revealed(self.second_client_secret),
            second_certificate=_client_certificate(self.second_certificate, self.second_private_key),
        )


class PollConfig(Group):
    """How users are read."""

    model_config = SettingsConfigDict(env_prefix="RELAY_POLL_")

    interval: Duration = Field(
        timedelta(seconds=5),
        ge=SECOND,
        le=timedelta(hours=1),
        description="between two reads of a user, when Graph allows",
    )
    reconcile_interval: Duration = Field(
        timedelta(seconds=60),
        ge=SECOND,
        le=timedelta(hours=1),
        description="between two reads of a user whose changes Graph announces: what a lost notification costs",
    )
    page_size: int = Field(MAX_BULK_SIZE, ge=1, le=MAX_BULK_SIZE, description="users in one read")
    limit: int = Field(1500, ge=1, description="requests that Graph allows a tenant in 30 s")
    headroom: float = Field(0.1, ge=0, le=0.9, description="share of that limit left unused")
    count_ids: bool = Field(
        default=False, description="whether Graph counts a read as many times as it has users (Microsoft does not say)"
    )


class WatchConfig(Group):
    """What suites may do."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WATCH_")

    linger: Duration = Field(
        timedelta(minutes=5), ge=timedelta(), description="how long users are read on after their last suite has left"
    )
    progress_interval: Duration = Field(
        timedelta(seconds=25),
        ge=timedelta(seconds=5),
        le=timedelta(minutes=5),
        description="how often an idle stream says how fresh it is, unless the suite asks otherwise",
    )
    streams_per_tenant: int = Field(64, ge=1, description="open streams of one tenant at one edge")
    unknown_linger: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(),
        description="how long a name that stands for nobody is kept after the last suite has left",
    )
    tenant_names: int = Field(
        MOST_NAMES,
        ge=1,
        le=HIGHEST,
        description="distinct users of one tenant on all its streams; `presence-relay tenants limit` sets another number for one",
    )
    names_at_once: int = Field(
        20_000, ge=1, description="names, asked for and given up, in changes with one suite key at one edge, at once,"
    )
    names_a_second: int = Field(
        500, ge=1, description="and how many follow each second; the edge reads no further change meanwhile"
    )
    start_names_at_once: int = Field(
        200_000, ge=1, description="names in starts with one suite key at one edge, at once,"
    )
    start_names_a_second: int = Field(5_000, ge=1, description="and how many follow each second")


class EdgeConfig(Group):
    """Where suites connect."""

    model_config = SettingsConfigDict(env_prefix="RELAY_EDGE_")

    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  suites come from outside
    port: Port = Field(8443, description="its port; 0 takes a free one. Suites expect 443 in front of it")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain for the name that suites connect to, PEM"
    )
    tls_key: PrivateKey | None = Field(None, description="its private key, PEM, without a password")
    plain_text: bool = Field(
        default=False,
        description="serve without TLS, which shows suite keys to the network: only behind a mesh that encrypts",
    )
    mark_keys: MarkKeys | None = Field(
        None,
        description="public keys (JWK set) that suite keys are verified with, so that writing to Redis makes none; "
        "`presence-relay keyring public` makes the file from the key ring. Not needed where the key ring is",
    )
    connections: int = Field(
        10_000,
        ge=10,
        description="connections at the same time, never more than a quarter of `nofile`; further ones are closed at once",
    )
    streams_per_connection: int = Field(
        100, ge=1, description="calls under way on one connection; a proxy opens another connection"
    )
    handshake: Duration = Field(
        timedelta(seconds=10), ge=SECOND, description="for TLS and the beginning of HTTP/2 on a new connection"
    )
    connection_age: Duration = Field(
        timedelta(seconds=5),
        ge=SECOND,
        description="how long a connection takes new streams: later ones open another, which a balancer places anew; "
        "at most half of `RELAY_EDGE_DRAIN_DELAY`",
    )
    metadata_bytes: int = Field(
        16_384, ge=1024, description="metadata of a call; a suite sends below 1 KiB, proxies add some"
    )
    message_bytes: int = Field(
        4 << 20, ge=1 << 20, description="one message of a suite: 10,000 held users with the longest names"
    )
    start_bytes: int = Field(
        40_000_000, ge=1 << 20, description="all parts of a start: 100,000 held users with the longest names"
    )
    start_long_chars: int = Field(
        1 << 20,
        ge=0,
        description="characters of all names in a start that are too long to be anybody's; they are kept until they were sent back",
    )
    name_chars: int = Field(
        1024, ge=320, le=65_536, description="one name, however malformed: it is sent back as it came"
    )
    unverified_calls: int = Field(
        256,
        ge=2,
        description="calls under way whose suite key is not verified yet or was found wrong, watches of health among them; "
        "further ones are refused at once",
    )
    verifications_at_once: int = Field(
        32, ge=1, description="of keys that this edge has not met; the others wait in a queue of the calls above"
    )
    unverified_reads: int = Field(
        16, ge=1, description="messages read from such calls at a time, each of up to `RELAY_EDGE_MESSAGE_BYTES`"
    )
    unverified_read: Duration = Field(
        timedelta(seconds=1), ge=timedelta(milliseconds=100), description="for such a message to arrive"
    )
    health_watches: int = Field(
        64, ge=0, description="streams of gRPC's `Health/Watch`, which needs no key; `Health/Check` has no limit"
    )
    linger: Duration = Field(
        timedelta(milliseconds=50),
        ge=timedelta(),
        le=timedelta(seconds=1),
        description="between two writes of a busy stream",
    )
    max_stream_age: Duration = Field(
        timedelta(hours=1), ge=SECOND, description="age at which a stream is moved, give or take a tenth"
    )
    drain_delay: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(),
        description="how long suites have to move when the edge stops; less than the process is given to stop",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.plain_text and (self.tls_cert is not None or self.tls_key is not None):
            raise ValueError("RELAY_EDGE_PLAIN_TEXT: is true although there is a certificate; keep one of the two")
        if not _is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_EDGE_TLS_KEY: is not the key of RELAY_EDGE_TLS_CERT")
        return self


_NO_ROLES: Final = frozenset(
    {
        "b79fbf4d-3ef9-4689-8143-76b194e85509",  # in `wids` of everybody, whatever else they are
        "a0b1b346-4d3e-4e8b-98f8-753987be4970",  # User
        "10dae51f-b6af-4016-8d66-8c2a99b929b3",  # Guest User
        "2af84b1e-32c8-42b7-82bc-daa82404023b",  # Restricted Guest User
    }
)
"""What Entra puts among roles and every member or guest of a tenant has: with one of these, any employee would look after it."""


class WebConfig(Group):
    """The onboarding pages."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WEB_")

    public_url: WebAddress | None = Field(
        None,
        description="where browsers reach the pages, without a path; the redirect URI is this and `/onboarding/callback`",
    )
    suite_address: str | None = Field(None, description="where suites connect, `host:port`, as the pages tell it")
    operator: str = Field("Presence relay", description="who runs the relay, as the pages say it")
    support: str = Field("", description="e-mail or web address for whoever is stuck; empty shows none")
    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  browsers come from outside
    port: Port = Field(8080, description="its port; 0 takes a free one")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain, PEM; without one the pages are plain HTTP, for an ingress that speaks TLS"
    )
    tls_key: PrivateKey | None = Field(None, description="its private key, PEM, without a password")
    egress_addresses: str = Field(
        "",
        description="addresses that the relay reaches Microsoft from, with commas between, as the pages tell them for a named "
        "location; empty tells none",
    )
    manager_roles: str = Field(
        "",
        description="directory roles of Entra whose holders look after their organisation's page, as role template ids with commas "
        "between; empty: none, because in a large organisation such roles are many people's. The app registration must be set "
        "to send the `wids` claim",
    )
    suite_ca_file: str = Field(
        "", description="the CA file named in the command to try, when suites must trust a CA of their own"
    )
    trusted_proxies: Proxies = Field(
        "",
        description="addresses of proxies whose `X-Forwarded-For` is believed, with commas between; empty: none, and all customers "
        "behind a proxy share one network's limits",
    )
    sign_up: Literal["invited", "approval", "open"] = Field(
        "approval",
        description="who may become a tenant: `invited` has a link from you, `approval` waits for `tenants approve`, `open` is "
        "anybody whose organisation has a Microsoft 365 domain",
    )
    sign_ups_per_hour: int = Field(
        SignUpLimits().hourly,
        ge=1,
        description="tenants that may come by themselves within an hour; more than a busy operator takes in. Links from you do not count",
    )
    pending_most: int = Field(
        SignUpLimits().pending,
        ge=1,
        description="tenants that may wait for your approval at once: what a person can look through",
    )
    pending_for: Duration = Field(
        SignUpLimits().waits,
        ge=timedelta(seconds=1),
        description="how long one may wait; then its consent is deleted. Longer than a holiday",
    )
    requests_per_minute: int = Field(
        Pace().requests,
        ge=10,
        description="requests that one network may send: an IPv4 address or an IPv6 /64; four times as many from a /48",
    )
    forms_per_minute: int = Field(
        Pace().sign_ups,
        ge=1,
        description="forms that begin an onboarding that one network may send, and as many that begin a sign-in",
    )
    flows: int = Field(
        Rooms().most,
        ge=10,
        description="onboardings, sign-ins, sessions and links that may be under way, of each kind; some 1 KB in Redis each. Beyond, "
        "those go that nobody has gone on with for longest",
    )

    @field_validator("manager_roles")
    @classmethod
    def _role_ids(cls, value: str) -> str:
        wrong = [role for role in _listed(value) if names.user_id(role) is None]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no role template id, which is a GUID")
        everybodys = [role for role in _listed(value) if role.lower() in _NO_ROLES]
        if everybodys:
            raise ValueError(f"{everybodys[0]} is no administrator's role: every user or guest has it")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ValueError("RELAY_WEB_TLS_KEY: certificate and private key belong together")
        if not _is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_WEB_TLS_KEY: is not the key of RELAY_WEB_TLS_CERT")
        if self.public_url is not None:
            try:
                self.pages()
            except ValueError as error:
                raise ValueError(f"RELAY_WEB_PUBLIC_URL: {error}") from None
        return self

    def pages(self) -> WebSettings:
        """What the pages need; to be called when the public address is there."""
        key = self.tls_key
        return WebSettings(
            public_url=self.public_url or "",
            suite_address=self.suite_address or "",
            operator=self.operator,
            support=self.support,
            host=self.host,
            port=self.port,
            tls_cert_pem=None if self.tls_cert is None else self.tls_cert.encode(),
            tls_key_pem=None if key is None else key.get_secret_value().encode(),
            trusted_proxies=self.trusted_proxies,
            suite_ca_file=self.suite_ca_file,
            egress_addresses=tuple(_listed(self.egress_addresses)),
            manager_roles=frozenset(role.lower() for role in _listed(self.manager_roles)),
            pace=Pace(
                requests=self.requests_per_minute, sign_ups=self.forms_per_minute, sign_ins=self.forms_per_minute
            ),
            rooms=Rooms(most=self.flows),
            sign_up=SignUp(self.sign_up),
            sign_up_limits=SignUpLimits(
                hourly=self.sign_ups_per_hour, pending=self.pending_most, waits=self.pending_for
            ),
        )


class WebhookConfig(Group):
    """Change notifications: where Graph sends them, and what it encrypts them for."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WEBHOOK_")

    url: HttpsAddress | None = Field(
        None,
        description="where Graph reaches the webhook, `https://` and a host; workers subscribe when it and the certificates are set",
    )
    certificates: str | None = Field(
        None,
        description="folder of `NAME.pem` files, each a certificate with its private key, that notifications are encrypted for; "
        "`presence-relay certificates make` makes one",
    )
    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  Graph comes from outside
    port: Port = Field(8081, description="its port; 0 takes a free one. Graph expects 443 in front of it")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain, PEM; without one it is plain HTTP, for an ingress that speaks TLS"
    )
    tls_key: PrivateKey | None = Field(None, description="its private key, PEM, without a password")

    trusted_proxies: Proxies = Field(
        "",
        description="addresses or networks of proxies in front of the webhook, with commas between, whose connections "
        "`RELAY_HTTP_CONNECTIONS_PER_ADDRESS` does not bound; empty: none",
    )

    @field_validator("url")
    @classmethod
    def _has_no_path(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).path or urlsplit(value).query or not urlsplit(value).hostname):
            raise ValueError(f"{value!r} must be like https://hook.example, without a path")
        return value

    @field_validator("certificates")
    @classmethod
    def _can_be_loaded(cls, value: str | None) -> str | None:
        if value is not None:
            EncryptionCertificates.load(value)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ValueError("RELAY_WEBHOOK_TLS_KEY: certificate and private key belong together")
        if not _is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_WEBHOOK_TLS_KEY: is not the key of RELAY_WEBHOOK_TLS_CERT")
        if (self.url is None) is not (self.certificates is None):
            absent = "URL" if self.url is None else "CERTIFICATES"
            raise ValueError(f"RELAY_WEBHOOK_{absent}: must be set too, address and certificates belong together")
        return self

    def push(self) -> PushSettings | None:
        """What workers need to subscribe; None when they shall not."""
        if self.url is None or self.certificates is None:
            return None
        return PushSettings(url_base=f"{self.url}{PREFIX}", certificates=EncryptionCertificates.load(self.certificates))


class SubscriptionConfig(Group):
    """When subscriptions are made, renewed, made anew and tried again."""

    model_config = SettingsConfigDict(env_prefix="RELAY_SUBSCRIPTION_")

    users: int = Field(MAX_USERS, ge=1, le=MAX_USERS, description="users of one subscription; Graph's own limit is 650")
    life: Duration = Field(
        _USUAL.life,
        ge=SECOND,
        le=timedelta(hours=1),
        description="what Graph is asked for, of at most an hour: the rest is for clocks that differ",
    )
    renew_after: Duration = Field(
        _USUAL.renew_least,
        ge=SECOND,
        le=timedelta(hours=1),
        description="age at which one is renewed with a fresh token, up to a fifth later: half of the hour that Graph uses a token for",
    )
    gather: Duration = Field(
        _USUAL.gather,
        ge=timedelta(),
        description="how long the first users wait for others before one is made",
    )
    remake_soon: Duration = Field(
        _USUAL.remake_soon,
        ge=timedelta(milliseconds=100),
        description="age at which one is made anew for a tenth or more of its users: each time is a gap of a second and a read of all",
    )
    remake_late: Duration = Field(
        _USUAL.remake_late, ge=timedelta(milliseconds=100), description="the same for fewer users"
    )
    retry_least: Duration = Field(
        _USUAL.retry_least,
        ge=timedelta(milliseconds=100),
        description="between two attempts after a refusal, doubled each time",
    )
    retry_most: Duration = Field(
        _USUAL.retry_most, ge=timedelta(milliseconds=100), description="what the doubling ends at"
    )
    look_after: Duration = Field(
        _USUAL.look_after,
        ge=timedelta(),
        description="how soon a worker that takes over looks whether an earlier one's is still there",
    )
    announced_within: Duration = Field(
        ANNOUNCED_WITHIN,
        ge=timedelta(milliseconds=100),
        description="a change that no notification tells of within this counts as unannounced: Graph takes a minute, repetitions theirs",
    )
    silent_pause: Duration = Field(
        _USUAL.silent_pause,
        ge=timedelta(milliseconds=100),
        description="between two times that one is made anew because it fell silent",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = []
        if self.renew_after * RENEWAL_SPREAD >= self.life:
            faults.append("RELAY_SUBSCRIPTION_RENEW_AFTER: and a fifth of it must be less than RELAY_SUBSCRIPTION_LIFE")
        if self.retry_least > self.retry_most:
            faults.append("RELAY_SUBSCRIPTION_RETRY_LEAST: must not be more than RELAY_SUBSCRIPTION_RETRY_MOST")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def policy(self) -> SubscriptionPolicy:
        """The rules' times."""
        return SubscriptionPolicy(
            life=self.life,
            renew_least=self.renew_after,
            renew_most=self.renew_after * RENEWAL_SPREAD,
            gather=self.gather,
            remake_soon=self.remake_soon,
            remake_late=self.remake_late,
            retry_least=self.retry_least,
            retry_most=self.retry_most,
            look_after=self.look_after,
            silent_pause=self.silent_pause,
        )


class MailConfig(Group):
    """E-mail to those who look after a tenant, and to the operator."""

    model_config = SettingsConfigDict(env_prefix="RELAY_MAIL_")

    host: str | None = Field(None, description="mail server; without one administrators get no e-mail")
    port: Port = Field(587, description="its port; 465 is usual for `tls`, 25 for `none`")
    tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="`starttls` demands an upgrade, `tls` begins with it, `none` is for a server on the relay's own host",
    )
    plaintext: bool = Field(
        default=False,
        description="whether `none` may go to another host: what administrators and you are told crosses the network in the clear; "
        "only inside a tunnel or a mesh that encrypts",
    )
    user: str = Field("", description="whom to sign in as; empty: nobody")
    password: Secret | None = Field(None, description="their password")
    sender: str | None = Field(
        None,
        description="the address that e-mails come from",
        json_schema_extra={"variable": "RELAY_MAIL_FROM"},
    )
    operator: str | None = Field(
        None,
        description="your own address: it is told when an organisation waits for your approval, and when a limit on new ones is reached",
    )
    ca: Certificates | None = Field(None, description="certificates to trust instead of the system's")

    @field_validator("sender", "operator")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        address = mail_address(value) if value is not None else None
        if value is not None and address is None:
            raise ValueError(f"{value!r} is no plain e-mail address")
        return address

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.host is None) is not (self.sender is None):
            absent = "HOST" if self.host is None else "FROM"
            raise ValueError(f"RELAY_MAIL_{absent}: must be set too, server and sender belong together")
        if self.operator is not None and self.host is None:
            raise ValueError("RELAY_MAIL_HOST: must be set too, or nothing reaches RELAY_MAIL_OPERATOR")
        if bool(self.user) is not (self.password is not None):
            absent = "PASSWORD" if self.user else "USER"
            raise ValueError(f"RELAY_MAIL_{absent}: must be set too, user and password belong together")
        if self.user and self.tls == "none":
            raise ValueError("RELAY_MAIL_TLS: is none although there is a password, which would go over in the clear")
        if self.host is not None and self.tls == "none" and not self.plaintext and not is_loopback(self.host):
            raise ValueError(f"RELAY_MAIL_TLS: {PLAIN.format('e-mails', 'starttls or tls', 'RELAY_MAIL_PLAINTEXT')}")
        return self

    def mail(self) -> MailSettings | None:
        """How e-mail is sent; None when it is not."""
        if self.host is None or self.sender is None:
            return None
        password = "" if self.password is None else self.password.get_secret_value()
        return MailSettings(
            host=self.host,
            port=self.port,
            tls=self.tls,
            user=self.user,
            password=password,
            sender=self.sender,
            ca_pem=self.ca,
        )


class NoticeConfig(Group):
    """Signed notices to addresses that tenants choose."""

    model_config = SettingsConfigDict(env_prefix="RELAY_NOTICE_")

    private_addresses: bool = Field(
        default=False,
        description="whether notices may go to addresses that are not on the public internet: a tenant could reach into your network",
    )
    ca: Certificates | None = Field(None, description="certificates to trust there instead of the system's")


class WorkerConfig(Group):
    """How workers share the tenants."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WORKER_")

    lease: Duration = Field(
        timedelta(seconds=6), ge=SECOND, description="what a killed worker costs before another one takes over"
    )
    grant_refresh: Duration = Field(
        timedelta(hours=24), ge=timedelta(minutes=5), description="how often each grant is refreshed, used or not"
    )


class LogConfig(Group):
    """Logs."""

    model_config = SettingsConfigDict(env_prefix="RELAY_LOG_")

    format: Literal["json", "text"] = Field("json", description="`json` for machines, `text` for people")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is logged")


class OpsConfig(Group):
    """The ops port."""

    model_config = SettingsConfigDict(env_prefix="RELAY_OPS_")

    host: ListenHost = Field(
        "0.0.0.0",  # noqa: S104  see the description
        description="where /livez, /readyz and /metrics are served; an inner network only",
    )
    port: Port = Field(9090, description="its port; 0 takes a free one")


class TelemetryConfig(Group):
    """OpenTelemetry."""

    model_config = SettingsConfigDict(env_prefix="RELAY_TELEMETRY_")

    otlp_endpoint: WebAddress | None = Field(None, description="collector that gets metrics and traces, OTLP over gRPC")
    plaintext: bool = Field(
        default=False,
        description="whether the collector may be an `http://` address on another host: metrics and traces "
        "cross the network in the clear; only inside a tunnel or a mesh that encrypts",
    )
    trace_share: float = Field(0.01, ge=0, le=1, description="share of units of work that are traced")

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.otlp_endpoint is not None and not self.plaintext and goes_in_the_clear(self.otlp_endpoint):
            shown = PLAIN.format("metrics and traces", "https://", "RELAY_TELEMETRY_PLAINTEXT")
            raise ValueError(f"RELAY_TELEMETRY_OTLP_ENDPOINT: {shown}")
        return self


def _is_pair(certificate: str | None, key: SecretStr | None) -> bool:
    """Whether a certificate and a private key belong together; True when one is absent."""
    return certificate is None or key is None or is_pair(certificate, key.get_secret_value())


def _credential_faults(
    prefix: str, secret: SecretStr | None, certificate: str | None, key: SecretStr | None
) -> Iterator[str]:
    """What is wrong with one of the relay's credentials at Entra."""
    name = f"RELAY_CLOUD_{prefix}"
    if secret is not None and certificate is not None:
        yield f"{name}CLIENT_SECRET: is given beside {name}CERTIFICATE; keep one of the two"
    if (certificate is None) is not (key is None):
        absent = "CERTIFICATE" if certificate is None else "PRIVATE_KEY"
        yield f"{name}{absent}: must be set too, certificate and private key belong together"
    elif not _is_pair(certificate, key):
        yield f"{name}PRIVATE_KEY: is not the key of {name}CERTIFICATE"


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _client_certificate(certificate: str | None, key: SecretStr | None) -> ClientCertificate | None:
    if certificate is None or key is None:
        return None
    return ClientCertificate(private_key_pem=key.get_secret_value(), certificate_pem=certificate)
