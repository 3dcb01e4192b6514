"""Reads and checks all settings once, at the start of a command, into one value.

This module builds the settings of store, Graph and telemetry; the roles build their own, and are not imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from relay.graph.auth.credentials import Credentials
from relay.http.paths import is_same_site
from relay.ops.expiry import Expiring, of_certificate
from relay.ops.telemetry import TelemetrySettings
from relay.settings import env
from relay.settings.env import SettingsGroup, SettingsInvalid, collect
from relay.settings.groups.alerts import MailConfig, NoticeConfig
from relay.settings.groups.cloud import CREDENTIAL_FIELDS, CloudConfig, client_certificate
from relay.settings.groups.console import ConsoleConfig
from relay.settings.groups.edge import EdgeConfig, WatchConfig
from relay.settings.groups.http import HttpConfig
from relay.settings.groups.ops import LogConfig, OpsConfig, TelemetryConfig
from relay.settings.groups.reading import PollConfig, SubscriptionConfig, WorkerConfig
from relay.settings.groups.store import RedisConfig, VaultConfig
from relay.settings.groups.web import WebConfig
from relay.settings.groups.webhook import WebhookConfig
from relay.settings.roles import Role
from relay.settings.validators import listed, revealed
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import Marks, PublicMarks, RingMarks
from relay.store.sealing.ring_file import RingFile
from relay.store.server.address import TopologyKind, parse_address
from relay.store.server.connection import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from relay.graph.push.settings import PushSettings
    from relay.graph.settings import GraphSettings

_PRIVATE_KEY: Final = "PRIVATE KEY-----"
"""Found in a PEM file that contains a certificate together with its key."""

GROUPS: Final[Mapping[str, type[SettingsGroup]]] = {
    "redis": RedisConfig,
    "vault": VaultConfig,
    "cloud": CloudConfig,
    "poll": PollConfig,
    "watch": WatchConfig,
    "edge": EdgeConfig,
    "web": WebConfig,
    "webhook": WebhookConfig,
    "console": ConsoleConfig,
    "http": HttpConfig,
    "subscription": SubscriptionConfig,
    "mail": MailConfig,
    "notice": NoticeConfig,
    "worker": WorkerConfig,
    "log": LogConfig,
    "ops": OpsConfig,
    "telemetry": TelemetryConfig,
}
"""Field of `Settings` -> its group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process, checked."""

    redis: RedisConfig
    vault: VaultConfig
    cloud: CloudConfig
    poll: PollConfig
    watch: WatchConfig
    edge: EdgeConfig
    web: WebConfig
    webhook: WebhookConfig
    console: ConsoleConfig
    http: HttpConfig
    subscription: SubscriptionConfig
    mail: MailConfig
    notice: NoticeConfig
    worker: WorkerConfig
    log: LogConfig
    ops: OpsConfig
    telemetry: TelemetryConfig
    files: Mapping[str, Path]
    """`group.field` -> the file that its value was read from. Some of these files are read again when they change."""

    def store_settings(self) -> StoreSettings:
        """Return the settings of the store. A Redis URL must be set."""
        assert self.redis.url is not None
        return StoreSettings(
            url=self.redis.url.get_secret_value(),
            vault_url=revealed(self.vault.redis_url),
            replicas=self.vault_replicas(),
            operation_timeout=self.redis.operation_timeout,
        )

    def vault_replicas(self) -> int:
        """Return how many replicas must have a durable write on disk."""
        return self.vault.replicas or _least_replicas(self.redis, self.vault)

    def key_ring(self) -> KeyRing:
        """Return the key ring that grants are encrypted with. A ring in a file is read again when the file changes."""
        assert self.vault.key_ring is not None
        text = self.vault.key_ring.get_secret_value()
        path = self.files.get("vault.key_ring")
        return KeyRing.from_json(text) if path is None else RingFile(path, text)

    def edge_marks(self, ring: KeyRing | None = None) -> Marks:
        """Return the keys that verify suite keys: the process's `ring`, the ring in the settings, or only the public keys."""
        if ring is not None or self.vault.key_ring is not None:
            return RingMarks(ring or self.key_ring())
        assert self.edge.mark_keys is not None
        return PublicMarks(self.edge.mark_keys, self.files.get("edge.mark_keys"))

    def graph_settings(self) -> GraphSettings:
        """Return the settings of the Graph adapter, with the credential files that are read again when they change."""
        files = {
            field: path for field in sorted(CREDENTIAL_FIELDS) if (path := self.files.get(f"cloud.{field}")) is not None
        }
        return replace(self.cloud.graph_settings(), credential_files=files)

    def console_graph_settings(self) -> GraphSettings:
        """Return the settings of Entra for the console's own app registration, which must be set."""
        assert self.console.client_id is not None
        files = {
            field: path
            for field in ("client_secret", "certificate", "private_key")
            if (path := self.files.get(f"console.{field}")) is not None
        }
        return replace(
            self.cloud.public_settings(),
            client_id=self.console.client_id,
            anonymous=False,
            client_secret=revealed(self.console.client_secret),
            certificate=client_certificate(self.console.certificate, self.console.private_key),
            credential_files=files,
        )

    def push_settings(self) -> PushSettings | None:
        """Return the settings of change notifications; None if they are not set, or if the cloud has no notifications."""
        return self.webhook.push_settings() if self.cloud.notifies else None

    def telemetry_settings(self, roles: Iterable[Role], attributes: dict[str, str]) -> TelemetrySettings:
        """Return the settings of telemetry, for a process with these roles and further attributes."""
        return TelemetrySettings(
            otlp_endpoint=self.telemetry.otlp_endpoint,
            interval=self.telemetry.otlp_interval,
            trace_share=self.telemetry.trace_share,
            roles=frozenset(roles),
            tenants=frozenset(listed(self.telemetry.tenants)),
            attributes=attributes,
        )

    def private_files(self) -> list[tuple[str, Path]]:
        """Return the files with secrets that settings name, each with the variable that names it."""
        found = []
        for name, path in self.files.items():
            group, field = name.split(".")
            value = getattr(getattr(self, group), field)
            if env.is_secret(GROUPS[group].model_fields[field]) or _PRIVATE_KEY in str(value):
                found.append((f"{env.variable_of(GROUPS[group], field)}_FILE", path))
        if self.webhook.certificates is not None:
            folder = Path(self.webhook.certificates)
            found += [("RELAY_WEBHOOK_CERTIFICATES", path) for path in sorted(folder.glob("*.pem"))]
        return found

    def tls_files(self, group: str) -> tuple[Path, Path] | None:
        """Return the files of a role's TLS certificate and key, when both are given as files."""
        files = self.files.get(f"{group}.tls_cert"), self.files.get(f"{group}.tls_key")
        return (files[0], files[1]) if files[0] is not None and files[1] is not None else None

    def expiring(self, roles: Iterable[Role]) -> Callable[[], list[Expiring]]:
        """Return a function that lists expiring certificates of these roles. It re-reads on each call, because files may be replaced."""
        served = {
            Role.EDGE: self.edge.tls_cert,
            Role.WEB: self.web.tls_cert,
            Role.WEBHOOK: self.webhook.tls_cert,
            Role.CONSOLE: self.console.tls_cert,
        }
        presented = [(role, pem) for role, pem in served.items() if role in roles and pem is not None]
        names = {"first": "RELAY_CLOUD_CERTIFICATE", "second": "RELAY_CLOUD_SECOND_CERTIFICATE"}
        uses_credential = self.cloud.certificate is not None or self.cloud.client_secret is not None
        knows_entra = uses_credential and self.cloud.client_id is not None and {Role.WORKER, Role.WEB} & set(roles)
        credentials = Credentials(self.graph_settings()) if knows_entra else None

        def find() -> list[Expiring]:
            found = [
                of_certificate(f"RELAY_{role.upper()}_TLS_CERT", self._presented(role, pem), role)
                for role, pem in presented
            ]
            if Role.CONSOLE in roles and self.console.certificate is not None:
                text = self._newest(self.files.get("console.certificate"), self.console.certificate)
                found.append(of_certificate("RELAY_CONSOLE_CERTIFICATE", text, Role.CONSOLE))
            own = credentials.all() if credentials is not None else []
            # A secret, whose end the relay does not know, counts as valid.
            part = Role.WORKER if all(one.ends is not None for one in own) else ""
            return found + [Expiring(names[one.name], one.ends, part) for one in own if one.ends is not None]

        return find

    def _presented(self, role: Role, pem: str) -> str:
        """Return the certificate that a role presents: that of its file, if the file is readable."""
        files = self.tls_files(role)
        return self._newest(None if files is None else files[0], pem)

    def _newest(self, file: Path | None, pem: str) -> str:
        """Return the certificate in a file, or the one read at the start if the file is not readable."""
        if file is None:
            return pem
        try:
            text = file.read_text()
            x509.load_pem_x509_certificates(text.encode())
        except (OSError, ValueError):
            return pem
        return text


def load(needs: Iterable[str] = (), given: Mapping[str, Mapping[str, Any]] | None = None) -> Settings:
    """Return the settings from the environment.

    Args:
        needs: fields that must be set, as `group.field`; see `roles.needs_of`.
        given: group -> field -> a value that overrides the environment.

    Raises:
        SettingsInvalid: with all faults.
    """
    faults: list[str] = []
    found = {name: collect(group, (given or {}).get(name, {}), faults) for name, group in GROUPS.items()}
    faults += [_absent(need) for need in dict.fromkeys(needs) if _is_absent(found, need)]
    faults += env.unknown(GROUPS.values())
    if isinstance(redis := found["redis"], RedisConfig) and isinstance(vault := found["vault"], VaultConfig):
        faults += _too_few_replicas(redis, vault)
    if isinstance(console := found["console"], ConsoleConfig) and console.url is not None:
        faults += _public_console(console.url, found["web"], found["webhook"])
    if faults:
        raise SettingsInvalid([line for fault in faults for line in fault.splitlines()])
    files = {
        f"{name}.{field_name}": path
        for name, group in GROUPS.items()
        for field_name, path in env.files(group)
        if field_name not in (given or {}).get(name, {})
    }
    return Settings(**found, files=files)  # type: ignore[arg-type]  # a group is None only when there were faults


def _least_replicas(redis: RedisConfig, vault: VaultConfig) -> int:
    """Return the minimum number of replicas for a durable write: only replicas keep it after a failover."""
    url = vault.redis_url or redis.url
    return int(url is not None and parse_address(url.get_secret_value()).kind is not TopologyKind.STANDALONE)


def _too_few_replicas(redis: RedisConfig, vault: VaultConfig) -> list[str]:
    if vault.replicas is None or vault.replicas >= _least_replicas(redis, vault):
        return []
    return [
        "RELAY_VAULT_REPLICAS: must be 1 or more with Redis Sentinel or Cluster: a failover loses what no replica has on disk"
    ]


def _public_console(url: str, web: SettingsGroup | None, webhook: SettingsGroup | None) -> list[str]:
    """Return a fault for each public address with the same host as the console."""
    public = {
        "RELAY_WEB_PUBLIC_URL": web.public_url if isinstance(web, WebConfig) else None,
        "RELAY_WEBHOOK_URL": webhook.url if isinstance(webhook, WebhookConfig) else None,
    }
    return [
        f"RELAY_CONSOLE_URL: is the host of {name}, which the internet reaches; give the console an internal name"
        for name, other in public.items()
        if other is not None and is_same_site(url, other)
    ]


def overridden(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the variables that are set but overridden by a value of `given`; see `load`."""
    return [
        env.variable_of(GROUPS[name], field)
        for name, fields in given.items()
        for field in fields
        if env.is_given(GROUPS[name], field)
    ]


def ports() -> dict[str, int]:
    """Return the ports to listen on that the environment names, by group.

    Raises:
        SettingsInvalid: a group with such a port is wrong.
    """
    faults: list[str] = []
    asked = [name for name in ("edge", "web", "webhook", "console", "ops") if env.is_given(GROUPS[name], "port")]
    found: dict[str, Any] = {name: collect(GROUPS[name], {}, faults) for name in asked}
    if faults:
        raise SettingsInvalid(faults)
    return {name: group.port for name, group in found.items()}


def _is_absent(found: Mapping[str, SettingsGroup | None], need: str) -> bool:
    if need == "edge.mark_keys" and not _is_absent(found, "vault.key_ring"):
        return False  # the public keys follow from the ring
    group_name, field = need.split(".")
    group = found[group_name]
    if group is None:  # for a group with faults, only the set variables are known
        return not env.is_given(GROUPS[group_name], field)
    if isinstance(group, EdgeConfig) and need.startswith("edge.tls_") and group.plain_text:
        return False
    if need == "cloud.client_secret" and isinstance(group, CloudConfig) and group.certificate is not None:
        return False
    return getattr(group, field) is None


def _absent(need: str) -> str:
    """Return the fault for a missing required field, with all ways to set it."""
    group_name, field_name = need.split(".")
    group = GROUPS[group_name]
    field = group.model_fields[field_name]
    variable = env.variable_of(group, field_name)
    other = f" (or {variable}_FILE)" if env.may_be_file(field) else ""
    if need == "cloud.client_secret":
        other += ", or RELAY_CLOUD_CERTIFICATE_FILE and RELAY_CLOUD_PRIVATE_KEY_FILE"
    return f"{variable}{other}: must be set: {field.description}"
