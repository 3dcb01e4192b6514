"""The relay's settings, read once at the start of a command by `load`, and what parts of the relay make of them.

Each setting's meaning and default is in `config_groups`; `variables` says where values come from and how faults are told. What
a role does not need may be absent; what is there must be right all the same.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onboarding.settings import TENANT, Push, WebSettings
from relay.alerts.settings import TellingSettings
from relay.core.reading.budget import BudgetSettings
from relay.edge.settings import EdgeSettings
from relay.graph.auth.credentials import Credentials
from relay.graph.settings import GraphSettings
from relay.locale import languages
from relay.ops.expiry import Expiring, of_certificate
from relay.ops.telemetry import TelemetrySettings
from relay.settings import env as variables
from relay.settings.env import Group, SettingsInvalid, collect
from relay.settings.groups import (
    CREDENTIAL_FIELDS,
    CloudConfig,
    EdgeConfig,
    LogConfig,
    MailConfig,
    NoticeConfig,
    OpsConfig,
    PollConfig,
    RedisConfig,
    SubscriptionConfig,
    TelemetryConfig,
    VaultConfig,
    WatchConfig,
    WebConfig,
    WebhookConfig,
    WorkerConfig,
)
from relay.settings.http import HttpConfig, proxies_of
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import Marks, PublicMarks, RingMarks
from relay.store.sealing.ring_file import RingFile
from relay.store.server.connection import StoreSettings
from relay.webhook.settings import WebhookSettings
from relay.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


_PRIVATE_KEY: Final = "PRIVATE KEY-----"
"""In a PEM file that holds a certificate together with its key."""


class Role(enum.StrEnum):
    """A part of the relay that may run alone."""

    EDGE = "edge"
    WORKER = "worker"
    WEBHOOK = "webhook"
    WEB = "web"


_GROUPS: Final[Mapping[str, type[Group]]] = {
    "redis": RedisConfig,
    "vault": VaultConfig,
    "cloud": CloudConfig,
    "poll": PollConfig,
    "watch": WatchConfig,
    "edge": EdgeConfig,
    "web": WebConfig,
    "webhook": WebhookConfig,
    "http": HttpConfig,
    "subscription": SubscriptionConfig,
    "mail": MailConfig,
    "notice": NoticeConfig,
    "worker": WorkerConfig,
    "log": LogConfig,
    "ops": OpsConfig,
    "telemetry": TelemetryConfig,
}

STORE: Final = ("redis.url",)
"""What everything needs that keeps or looks up anything."""
ONBOARDING: Final = (*STORE, "vault.key_ring", "cloud.client_id", "cloud.client_secret")
_NEEDS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.EDGE: (*STORE, "edge.tls_cert", "edge.tls_key", "edge.mark_keys"),
    Role.WORKER: ONBOARDING,
    Role.WEBHOOK: (*STORE, "cloud.client_id"),
    Role.WEB: (*ONBOARDING, "web.public_url", "web.suite_address"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked."""

    redis: RedisConfig
    vault: VaultConfig
    cloud: CloudConfig
    poll: PollConfig
    watch: WatchConfig
    edge: EdgeConfig
    web: WebConfig
    webhook: WebhookConfig
    http: HttpConfig
    subscription: SubscriptionConfig
    mail: MailConfig
    notice: NoticeConfig
    worker: WorkerConfig
    log: LogConfig
    ops: OpsConfig
    telemetry: TelemetryConfig
    files: Mapping[str, Path]
    """`group.field` -> the file that its value was read from. What changes there may be read again while the relay runs."""

    def store_settings(self) -> StoreSettings:
        """What the store needs."""
        assert self.redis.url is not None
        return StoreSettings(
            url=self.redis.url.get_secret_value(),
            vault_url=None if self.vault.redis_url is None else self.vault.redis_url.get_secret_value(),
            replicas=self.vault.replicas,
            operation_timeout=self.redis.operation_timeout,
        )

    def key_ring(self) -> KeyRing:
        """What grants are encrypted with. Given as a file, it follows that file."""
        assert self.vault.key_ring is not None
        text = self.vault.key_ring.get_secret_value()
        path = self.files.get("vault.key_ring")
        return KeyRing.from_json(text) if path is None else RingFile(path, text)

    def edge_marks(self, ring: KeyRing | None = None) -> Marks:
        """What the edge verifies suite keys with: the process's `ring`, one that is set, or the public keys alone."""
        if ring is not None or self.vault.key_ring is not None:
            return RingMarks(ring or self.key_ring())
        assert self.edge.mark_keys is not None
        return PublicMarks(self.edge.mark_keys, self.files.get("edge.mark_keys"))

    def private_files(self) -> list[tuple[str, Path]]:
        """The files with secrets that settings name, each with the variable that names it."""
        found = []
        for name, path in self.files.items():
            group, field = name.split(".")
            value = getattr(getattr(self, group), field)
            if variables.is_secret(_GROUPS[group].model_fields[field]) or _PRIVATE_KEY in str(value):
                found.append((f"{variables.variable_of(_GROUPS[group], field)}_FILE", path))
        if self.webhook.certificates is not None:
            folder = Path(self.webhook.certificates)
            found += [("RELAY_WEBHOOK_CERTIFICATES", path) for path in sorted(folder.glob("*.pem"))]
        return found

    def graph_settings(self) -> GraphSettings:
        """What the Graph adapter needs, with the files that credentials are read again from when they change."""
        files = {
            field: path for field in sorted(CREDENTIAL_FIELDS) if (path := self.files.get(f"cloud.{field}")) is not None
        }
        return replace(self.cloud.graph_settings(), credential_files=files)

    def expiring(self, roles: Iterable[Role]) -> Callable[[], list[Expiring]]:
        """What expires of what these roles use; the function gives it anew, for the relay's credentials follow their files."""
        served = {
            Role.EDGE: ("RELAY_EDGE_TLS_CERT", self.edge.tls_cert),
            Role.WEB: ("RELAY_WEB_TLS_CERT", self.web.tls_cert),
            Role.WEBHOOK: ("RELAY_WEBHOOK_TLS_CERT", self.webhook.tls_cert),
        }
        fixed = [of_certificate(*served[role]) for role in roles if role in served and served[role][1] is not None]  # type: ignore[arg-type]
        names = {"first": "RELAY_CLOUD_CERTIFICATE", "second": "RELAY_CLOUD_SECOND_CERTIFICATE"}
        uses_credential = self.cloud.certificate is not None or self.cloud.client_secret is not None
        if not uses_credential or self.cloud.client_id is None or not {Role.WORKER, Role.WEB} & set(roles):
            return lambda: fixed
        credentials = Credentials(self.graph_settings())
        return lambda: (
            fixed + [Expiring(names[one.name], one.ends) for one in credentials.all() if one.ends is not None]
        )

    def worker_settings(self) -> WorkerSettings:
        """What the worker needs."""
        poll = self.poll
        return WorkerSettings(
            poll_interval=poll.interval,
            reconcile_interval=poll.reconcile_interval,
            subscription_size=self.subscription.users,
            announced_within=self.subscription.announced_within,
            page_size=poll.page_size,
            watch_linger=self.watch.linger,
            unknown_linger=self.watch.unknown_linger,
            tenant_names=self.watch.tenant_names,
            lease=self.worker.lease,
            lease_renewal=self.worker.lease / 3,
            grant_refresh=self.worker.grant_refresh,
            budget=BudgetSettings(limit=poll.limit, headroom=poll.headroom, count_ids=poll.count_ids),
            subscriptions=self.subscription.policy(),
            push=self.webhook.push() if self.cloud.notifies else None,
            telling=self.telling_settings(),
            say=languages.in_language,
        )

    def telling_settings(self) -> TellingSettings:
        """How administrators are told."""
        return TellingSettings(
            mail=self.mail.mail(),
            operator=self.web.operator,
            operator_address=self.mail.operator or "",
            page=f"{self.web.public_url}{TENANT}" if self.web.public_url else "",
            private_addresses=self.notice.private_addresses,
            ca_pem=self.notice.ca,
        )

    def edge_settings(self) -> EdgeSettings:
        """What the edge needs."""
        key = self.edge.tls_key
        return EdgeSettings(
            host=self.edge.host,
            port=self.edge.port,
            tls_cert_pem=None if self.edge.tls_cert is None else self.edge.tls_cert.encode(),
            tls_key_pem=None if key is None else key.get_secret_value().encode(),
            streams_per_tenant=self.watch.streams_per_tenant,
            tenant_names=self.watch.tenant_names,
            names_at_once=self.watch.names_at_once,
            names_a_second=self.watch.names_a_second,
            start_names_at_once=self.watch.start_names_at_once,
            start_names_a_second=self.watch.start_names_a_second,
            progress_default=self.watch.progress_interval,
            poll_interval_assumed=self.poll.interval,
            connections=self.edge.connections,
            streams_per_connection=self.edge.streams_per_connection,
            handshake=self.edge.handshake,
            connection_age=self.edge.connection_age,
            metadata_bytes=self.edge.metadata_bytes,
            message_bytes=self.edge.message_bytes,
            start_bytes=self.edge.start_bytes,
            start_long_chars=self.edge.start_long_chars,
            name_chars=self.edge.name_chars,
            unverified_calls=self.edge.unverified_calls,
            verifications_at_once=self.edge.verifications_at_once,
            unverified_reads=self.edge.unverified_reads,
            unverified_read=self.edge.unverified_read,
            health_watches=self.edge.health_watches,
            linger=self.edge.linger,
            max_stream_age=self.edge.max_stream_age,
            drain_delay=self.edge.drain_delay,
        )

    def webhook_settings(self) -> WebhookSettings:
        """What the webhook needs."""
        key = self.webhook.tls_key
        return WebhookSettings(
            host=self.webhook.host,
            port=self.webhook.port,
            tls_cert_pem=None if self.webhook.tls_cert is None else self.webhook.tls_cert.encode(),
            tls_key_pem=None if key is None else key.get_secret_value().encode(),
            limits=self.http.limits(),
            proxies=proxies_of(self.webhook.trusted_proxies),
        )

    def web_settings(self) -> WebSettings:
        """What the pages need; to subscribe, they try what workers do."""
        push = self.webhook.push() if self.cloud.notifies else None
        tried = None if push is None else Push(url_base=push.url_base, certificates=push.certificates)
        has_mail = self.mail.mail() is not None
        return replace(self.web.pages(), push=tried, limits=self.http.limits(), has_mail=has_mail)

    def telemetry_settings(self, **attributes: str) -> TelemetrySettings:
        """What telemetry needs."""
        return TelemetrySettings(
            otlp_endpoint=self.telemetry.otlp_endpoint,
            trace_share=self.telemetry.trace_share,
            attributes=attributes,
        )


def load(needs: Iterable[str] = (), given: Mapping[str, Mapping[str, Any]] | None = None) -> Settings:
    """The settings from the environment.

    Args:
        needs: fields that must be there, as `group.field`; see `needs_of`.
        given: group -> field -> a value that goes before the environment's.

    Raises:
        SettingsInvalid: with everything that is wrong.
    """
    faults: list[str] = []
    found = {name: collect(group, (given or {}).get(name, {}), faults) for name, group in _GROUPS.items()}
    faults += [_absent(need) for need in dict.fromkeys(needs) if _is_absent(found, need)]
    faults += variables.unknown(_GROUPS.values())
    if faults:
        raise SettingsInvalid([line for fault in faults for line in fault.splitlines()])
    files = {
        f"{name}.{field_name}": path
        for name, group in _GROUPS.items()
        for field_name, path in variables.files(group)
        if field_name not in (given or {}).get(name, {})
    }
    return Settings(**found, files=files)  # type: ignore[arg-type]  # a group is None only when there were faults


def overridden(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Variables that are set and do not count, because a value of `given` goes before them; see `load`."""
    return [
        variables.variable_of(_GROUPS[name], field)
        for name, fields in given.items()
        for field in fields
        if variables.is_given(_GROUPS[name], field)
    ]


def ports() -> dict[str, int]:
    """The ports to listen on that the environment names, by group.

    Raises:
        SettingsInvalid: a group with such a port is wrong.
    """
    faults: list[str] = []
    asked = [name for name in ("edge", "web", "webhook", "ops") if variables.is_given(_GROUPS[name], "port")]
    found: dict[str, Any] = {name: collect(_GROUPS[name], {}, faults) for name in asked}
    if faults:
        raise SettingsInvalid(faults)
    return {name: group.port for name, group in found.items()}


def needs_of(roles: Iterable[Role]) -> list[str]:
    """The fields without which these roles cannot run."""
    return [need for role in roles for need in _NEEDS[role]]


def table() -> str:
    """All settings as a Markdown table."""
    rows = ["| variable | meaning | default |", "| --- | --- | --- |"]
    for group in _GROUPS.values():
        for name, field in group.model_fields.items():
            variable = variables.variable_of(group, name)
            shown = f"`{variable}`, `…_FILE`" if variables.may_be_file(field) else f"`{variable}`"
            default = "" if field.default is None else f"`{variables.shown_value(field.default)}`"
            rows.append(f"| {shown} | {field.description} | {default} |")
    return "\n".join(rows) + "\n"


def _is_absent(found: Mapping[str, Group | None], need: str) -> bool:
    if need == "edge.mark_keys" and not _is_absent(found, "vault.key_ring"):
        return False  # the public keys follow from the ring
    group_name, field = need.split(".")
    group = found[group_name]
    if group is None:  # of a group with faults it is only known what was set
        return not variables.is_given(_GROUPS[group_name], field)
    if isinstance(group, EdgeConfig) and need.startswith("edge.tls_") and group.plain_text:
        return False
    if need == "cloud.client_secret" and isinstance(group, CloudConfig) and group.certificate is not None:
        return False
    return getattr(group, field) is None


def _absent(need: str) -> str:
    group_name, field_name = need.split(".")
    group = _GROUPS[group_name]
    field = group.model_fields[field_name]
    variable = variables.variable_of(group, field_name)
    other = f" (or {variable}_FILE)" if variables.may_be_file(field) else ""
    if need == "cloud.client_secret":
        other += ", or RELAY_CLOUD_CERTIFICATE_FILE and RELAY_CLOUD_PRIVATE_KEY_FILE"
    return f"{variable}{other}: must be set: {field.description}"
