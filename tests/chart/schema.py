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
from tests.chart.values import Value, documented

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
_HOST: Final = {
    "type": "string",
    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+)?$",
    "maxLength": 253,
}
_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65535}
_NODE_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65535}
_SECONDS: Final = {"type": "integer", "minimum": 1, "maximum": 3600}
_TIME: Final = {"type": "string", "pattern": r"^(([0-9]+(\.[0-9]+)?(ms|s|m|h))+)?$"}
_SIZE: Final = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"}
_COUNT_OR_SHARE: Final = {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_DIGEST: Final = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
_PULL: Final = {"enum": ["Always", "IfNotPresent", "Never"]}

# Pattern of a path -> what is allowed there. The first that fits counts.
_NARROWER: Final[list[tuple[str, dict[str, Any]]]] = [
    (r"global\.imagePullSecrets|image\.pullSecrets", {"type": "array", "items": _NAME}),
    (
        r"nameOverride|fullnameOverride",
        {"type": "string", "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 63},
    ),
    (r"mode", {"enum": ["roles", "all"]}),
    (r".*\.pullPolicy", _PULL),
    (r".*\.digest", _DIGEST),
    (r"image\.architectures", {"type": "array", "items": {"enum": ["amd64", "arm64"]}}),
    (r"(edge|web|webhook)\.host", _HOST),
    (r"(redis|vault)\.url", {"type": "string", "pattern": r"^(rediss?(\+[a-z]+)?://.+)?$"}),
    (r"(redis|vault)\.keys", _TEXTS),
    (r".*(existingSecret|secretName|existingClaim|caConfigMap|serviceAccount\.name)", _NAME),
    (r".*\.service\.type", {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}),
    (r".*\.externalTrafficPolicy", {"enum": ["Cluster", "Local"]}),
    (r".*\.ipFamilyPolicy", {"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]}),
    (r".*\.service\.port", _PORT),
    (r".*\.nodePort", _NODE_PORT),
    (r"networkPolicy\..*\.ports", {"type": "array", "items": _PORT, "minItems": 1}),
    (r".*\.(to|from)|networkPolicy\.extra.*|backup\.upload\.egress", {"type": "array", "items": {"type": "object"}}),
    (
        r".*issuerRef",
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "kind": {"type": "string"}, "group": {"type": "string"}},
        },
    ),
    (r".*\.(duration|renewBefore|requestTimeout|interval|scrapeTimeout)", _TIME),
    (r".*persistence\.size", _SIZE),
    (
        r".*\.resources",
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {"requests": {"type": "object"}, "limits": {"type": "object"}, "claims": {"type": "array"}},
        },
    ),
    (r"shutdown\.drainSeconds", {"type": "integer", "minimum": 5, "maximum": 3600}),
    (r"shutdown\.preStopSeconds", {"type": "integer", "minimum": 0, "maximum": 300}),
    (r"shutdown\.marginSeconds", {"type": "integer", "minimum": 20, "maximum": 600}),
    (r".*\.(maxUnavailable|minAvailable)", _COUNT_OR_SHARE),
    (r".*\.maxSurge", {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9]*%$"}]}),
    (r".*\.autoscaling\.(minReplicas|maxReplicas)", {"type": "integer", "minimum": 1, "maximum": 1000}),
    (r".*\.autoscaling\.cpuPercent", {"type": "integer", "minimum": 0, "maximum": 1000}),
    (r".*\.averageValue", {"type": ["string", "integer"], "pattern": "^[0-9]+(m|k|M)?$"}),
    (r".*Probe\.(periodSeconds|timeoutSeconds|failureThreshold)", _SECONDS),
    (r".*\.timeoutSeconds|.*\.terminationGracePeriodSeconds|.*\.pollingInterval", {"type": "integer", "minimum": 1}),
    (r"backup\.keep", {"type": "integer", "minimum": 1, "maximum": 1000}),
    (r".*\.(labels|annotations|podLabels|podAnnotations|nodeSelector)|commonLabels", _TEXTS),
    (r"metrics\.prometheusRule\.groups", {"type": "object", "additionalProperties": {"type": "array"}}),
    (r"metrics\.dashboards\.extra", _TEXTS),
    (r"extraObjects", {"type": "array", "items": {"type": ["object", "string"]}}),
    (
        r".*\.(extraEnv|extraEnvFrom|extraVolumes|extraVolumeMounts|extraContainers|extraInitContainers|tolerations"
        r"|topologySpreadConstraints|parentRefs|triggers|metricRelabelings|volumes)",
        {"type": "array", "items": {"type": "object"}},
    ),
]
ROLES: Final = ("all", "edge", "worker", "webhook", "web")

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
    "RELAY_EDGE_MARK_KEYS": "keyRing.publicKey",
    "RELAY_EDGE_PLAIN_TEXT": "edge.tls.enabled",
    "RELAY_EDGE_DRAIN_DELAY": "shutdown.drainSeconds",
    "RELAY_WEB_PUBLIC_URL": "web.host",
    "RELAY_WEB_SUITE_ADDRESS": "edge.host",
    "RELAY_WEBHOOK_URL": "webhook.host",
    "RELAY_WEBHOOK_CERTIFICATES": "webhook.encryption",
    "RELAY_MAIL_PASSWORD": "mail.existingSecret",
    "RELAY_MAIL_CA": "trust.mail",
    "RELAY_NOTICE_CA": "trust.notices",
    **{
        f"RELAY_{role}_TLS_{part}": f"{role.lower()}.tls"
        for role in ("EDGE", "WEB", "WEBHOOK")
        for part in ("CERT", "KEY")
    },
}
"""Settings that the chart derives from other values, each with the value."""
FIXED: Final = frozenset(
    f"RELAY_{role}_{name}" for role in ("EDGE", "WEB", "WEBHOOK", "OPS") for name in ("HOST", "PORT")
)
"""Settings that a pod leaves at their defaults: where it listens."""


def schema_text() -> str:
    """Return the text of values.schema.json."""
    root = documented()
    pod = root.below["pod"]
    properties = {name: _schema(value) for name, value in root.below.items()}
    for role in ROLES:
        own = properties[role]["properties"]
        properties[role]["properties"] = own | {
            name: {"$ref": f"#/properties/pod/properties/{name}"} for name in pod.below if name not in own
        }
    properties["config"] = config_schema() | {"description": root.below["config"].comment}
    properties["global"]["additionalProperties"] = True
    properties["enabled"] = {"type": "boolean", "description": "For the condition of a parent chart; not used here."}
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart teams-presence-relay",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _schema(value: Value) -> dict[str, Any]:
    described = {"description": value.comment} if value.comment else {}
    for pattern, allowed in _NARROWER:
        if re.fullmatch(pattern, value.name):
            return described | allowed
    if value.below:
        properties = {name: _schema(each) for name, each in value.below.items()}
        return described | {"type": "object", "additionalProperties": False, "properties": properties}
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
            groups[group_name] = {"type": "object", "additionalProperties": False, "properties": fields}
    return {"type": "object", "additionalProperties": False, "properties": groups}


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
