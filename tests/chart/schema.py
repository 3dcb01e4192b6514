"""Makes values.schema.json: strict at every depth, and safe in an umbrella chart, which adds `global` and `enabled`.

The shape follows from values.yaml; what a default cannot say is in `_NARROWER`. `config` follows from the relay's settings.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from relay.settings.env import may_be_file, variable_of
from relay.settings.load import GROUPS
from tests.chart import structures
from tests.chart.values import Value, documented

if TYPE_CHECKING:
    from collections.abc import Iterator

_PORT: Final = structures.PORT
_SECONDS: Final = {"type": "integer", "minimum": 1, "maximum": 3600}
_COUNT_OR_SHARE: Final = {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]}
_COMPONENTS: Final = ("all", "edge", "worker", "webhook", "web", "console", "backup", "preflight")

# Pattern of a path -> what is allowed there. The first that fits counts. How a text must be written is checked by templates/_shapes.tpl, in words.
_NARROWER: Final[list[tuple[str, dict[str, Any]]]] = [
    (r"global\.imagePullSecrets|image\.pullSecrets", structures.PULL_SECRETS),
    (
        r"nameOverride|fullnameOverride",
        {"type": "string", "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 63},
    ),
    (r"mode", {"enum": ["roles", "all"]}),
    (r"listenAddress", {"enum": ["0.0.0.0", "::"]}),
    (r".*\.pullPolicy", {"enum": ["Always", "IfNotPresent", "Never"]}),
    (r"image\.architectures", {"type": "array", "items": {"enum": ["amd64", "arm64"]}}),
    (r"(redis|vault)\.keys", structures.closed({name: {"type": "string"} for name in _COMPONENTS})),
    (r".*\.service\.type", {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}),
    (r".*\.externalTrafficPolicy", {"enum": ["Cluster", "Local"]}),
    (r".*\.ipFamilyPolicy", {"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]}),
    (r".*\.service\.port|.*\.nodePort", _PORT),
    (
        r".*\.loadBalancerSourceRanges",
        {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"}},
    ),
    (r"networkPolicy\..*\.ports", {"type": "array", "items": _PORT, "minItems": 1}),
    (r"networkPolicy\..*\.(to|from)", structures.PEERS),
    (r"networkPolicy\.extraIngress", structures.INGRESS_RULES),
    (r"networkPolicy\.extraEgress|backup\.upload\.egress", structures.EGRESS_RULES),
    (r".*issuerRef", structures.ISSUER),
    (r".*\.resources", structures.RESOURCES),
    (r"shutdown\.drainSeconds", {"type": "integer", "minimum": 5, "maximum": 3600}),
    (r"shutdown\.preStopSeconds", {"type": "integer", "minimum": 0, "maximum": 300}),
    (r"shutdown\.marginSeconds", {"type": "integer", "minimum": 20, "maximum": 600}),
    (r".*\.(maxUnavailable|minAvailable)", _COUNT_OR_SHARE),
    (r".*\.maxSurge", {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9]*%$"}]}),
    (r".*\.autoscaling\.(minReplicas|maxReplicas)", {"type": "integer", "minimum": 1, "maximum": 1000}),
    (r".*\.autoscaling\.cpuPercent", {"type": "integer", "minimum": 0, "maximum": 1000}),
    (r".*\.averageValue", {"type": ["string", "integer"], "pattern": "^[1-9][0-9]*(m|k|M)?$", "minimum": 1}),
    (r".*Probe\.(periodSeconds|timeoutSeconds|failureThreshold)", _SECONDS),
    (r".*\.timeoutSeconds|.*\.terminationGracePeriodSeconds|.*\.pollingInterval", {"type": "integer", "minimum": 1}),
    (r"backup\.keep", {"type": "integer", "minimum": 1, "maximum": 1000}),
    (r".*\.(labels|podLabels|nodeSelector)|commonLabels", structures.LABELS),
    (r".*\.(annotations|podAnnotations)|metrics\.dashboards\.extra", structures.TEXTS),
    (r"metrics\.prometheusRule\.groups", structures.RULE_GROUPS),
    (r"extraObjects", structures.OBJECTS),
    (r"backup\.upload\.container", structures.UPLOADER),
    (r".*\.(extraContainers|extraInitContainers)", structures.listed(structures.CONTAINER)),
    (r".*\.extraEnv", structures.ENV),
    (r".*\.extraEnvFrom", structures.ENV_FROM),
    (r".*\.(extraVolumes|volumes)", structures.VOLUMES),
    (r".*\.extraVolumeMounts", structures.MOUNTS),
    (r".*\.tolerations", structures.TOLERATIONS),
    (r".*\.topologySpreadConstraints", structures.SPREAD),
    (r".*\.affinity", structures.AFFINITY),
    (r".*\.parentRefs", structures.PARENT_REFS),
    (r".*\.triggers", structures.TRIGGERS),
    (r".*\.metricRelabelings", structures.listed({"type": "object"})),
]
ROLES: Final = ("all", "edge", "worker", "webhook", "web", "console")

OWNED: Final = {
    "RELAY_REDIS_URL": "redis",
    "RELAY_VAULT_REDIS_URL": "vault",
    "RELAY_VAULT_KEY_RING": "keyRing",
    "RELAY_CLOUD_CA": "trust.microsoft",
    "RELAY_CLOUD_CLIENT_ID": "entra.clientId",
    **{f"RELAY_CLOUD_{name}": "entra.credential" for name in ("CLIENT_SECRET", "CERTIFICATE", "PRIVATE_KEY")},
    **{
        f"RELAY_CLOUD_SECOND_{name}": "entra.secondCredential"
        for name in ("CLIENT_SECRET", "CERTIFICATE", "PRIVATE_KEY")
    },
    **{f"RELAY_{role}_HOST": "listenAddress" for role in ("EDGE", "WEB", "WEBHOOK", "OPS")},
    "RELAY_EDGE_MARK_KEYS": "keyRing.publicKey",
    "RELAY_EDGE_PLAIN_TEXT": "edge.tls.enabled",
    "RELAY_EDGE_DRAIN_DELAY": "shutdown.drainSeconds",
    "RELAY_WEB_PUBLIC_URL": "web.host",
    "RELAY_WEB_SUITE_ADDRESS": "edge.host",
    "RELAY_WEBHOOK_URL": "webhook.host",
    "RELAY_WEBHOOK_CERTIFICATES": "webhook.encryption",
    "RELAY_CONSOLE_URL": "console.browserUrl",
    "RELAY_CONSOLE_HOST": "console.service",
    "RELAY_CONSOLE_TENANT": "console.entra.tenantId",
    "RELAY_CONSOLE_CLIENT_ID": "console.entra.clientId",
    **{f"RELAY_CONSOLE_{name}": "console.entra.credential" for name in ("CLIENT_SECRET", "CERTIFICATE", "PRIVATE_KEY")},
    "RELAY_CONSOLE_TOKEN": "console.token",
    "RELAY_MAIL_PASSWORD": "mail.existingSecret",
    "RELAY_MAIL_CA": "trust.mail",
    "RELAY_NOTICE_CA": "trust.notices",
    **{
        f"RELAY_{role}_TLS_{part}": f"{role.lower()}.tls"
        for role in ("EDGE", "WEB", "WEBHOOK", "CONSOLE")
        for part in ("CERT", "KEY")
    },
}
"""Settings that the chart derives from other values, each with the value."""
FIXED: Final = frozenset(f"RELAY_{role}_PORT" for role in ("EDGE", "WEB", "WEBHOOK", "CONSOLE", "OPS"))
"""Settings that a pod leaves at their defaults: the ports on which it listens."""


def schema_text() -> str:
    """Return the text of values.schema.json."""
    root = documented()
    pod = root.below["pod"]
    properties = {name: _schema(value) for name, value in root.below.items()}
    for role in ROLES:
        shared = {name: {"$ref": f"#/properties/pod/properties/{name}"} for name in pod.below}
        properties[role] |= structures.closed(shared | properties[role]["properties"])
    properties["config"] = config_schema() | {"description": root.below["config"].comment}
    del properties["global"]["additionalProperties"]  # a parent chart's own
    properties["enabled"] = {"type": "boolean", "description": "For the condition of a parent chart; not used here."}
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart teams-presence-relay",
        **structures.closed(properties),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _schema(value: Value) -> dict[str, Any]:
    described = {"description": value.comment} if value.comment else {}
    for pattern, allowed in _NARROWER:
        if re.fullmatch(pattern, value.name):
            return described | allowed
    if value.below:
        properties = {name: _schema(each) for name, each in value.below.items()}
        return described | structures.closed(properties)
    match value.default:
        case bool():
            return described | {"type": "boolean"}
        case int():
            return described | {"type": "integer", "minimum": 0}
        case str():
            return described | {"type": "string"}
        case list():
            return described | {"type": "array"}
    return described | {"type": "object"}


def config_schema() -> dict[str, Any]:
    """Return the schema of `config`: each group of settings with its fields, but those that other values decide."""
    groups = {}
    for group_name, group in GROUPS.items():
        fields = dict(_config_fields(group))
        if fields:
            groups[group_name] = structures.closed(fields)
    return structures.closed(groups)


def config_key(variable: str, group_name: str) -> str:
    """Return the key in `config.GROUP` of a variable."""
    if variable == "RELAY_CLOUD":
        return "name"
    first, *more = variable.removeprefix(f"RELAY_{group_name.upper()}_").lower().split("_")
    return first + "".join(word.capitalize() for word in more)


def _config_fields(group: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    group_name = next(name for name, each in GROUPS.items() if each is group)
    for field_name, field in group.model_fields.items():
        variable = variable_of(group, field_name)
        if variable in OWNED or variable in FIXED:
            continue
        assert not may_be_file(field), f"{variable} is a secret or a document: the chart must mount it"
        yield config_key(variable, group_name), {"description": field.description} | _type(field)


def _type(field: Any) -> dict[str, Any]:
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return {"enum": list(get_args(field.annotation))}
    kind = kinds[0]
    kind = get_args(kind)[0] if get_origin(kind) is not None else kind
    if kind is bool:
        return {"type": "boolean"}
    if kind in (int, float):
        bounds = {"minimum": _bound(field, "ge"), "maximum": _bound(field, "le")}
        known = {name: bound for name, bound in bounds.items() if bound is not None}
        return {"type": "integer" if kind is int else "number"} | known
    if kind is timedelta:
        return {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"}
    return {"type": "string"}


def _bound(field: Any, name: str) -> Any:
    return next((getattr(mark, name) for mark in field.metadata if hasattr(mark, name)), None)
