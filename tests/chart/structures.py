"""Schemas of what values.yaml takes over from Kubernetes as it is: containers, volumes, peers of a policy, resources.

Containers and volumes are checked as far as their own keys: what is in them is Kubernetes' and grows with it. There is no `propertyNames`, for Helm's validator
tells a wrong path with it.
"""

from __future__ import annotations

from typing import Any, Final

TEXTS: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {"type": "string"}}
PORT: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": 65535}
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_TRUTH: Final[dict[str, Any]] = {"type": "boolean"}
_NUMBER: Final[dict[str, Any]] = {"type": "integer"}
_NAMED: Final[dict[str, Any]] = {"type": "string", "minLength": 1}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of an object that has these keys and no other."""
    whole = {"type": "object", "additionalProperties": False, "properties": properties}
    return whole | {"required": [*required]} if required else whole


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": item}


def _keys(names: str, *required: str, **known: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object of Kubernetes' of which only the keys are checked."""
    return closed({name: {} for name in names.split()} | known, *required)


_SELECTOR: Final = closed({"matchLabels": TEXTS, "matchExpressions": listed(_OBJECT)})
_PEER: Final = closed(
    {
        "podSelector": _SELECTOR,
        "namespaceSelector": _SELECTOR,
        "ipBlock": closed({"cidr": _NAMED, "except": listed(_NAMED)}, "cidr"),
    }
)
_POLICY_PORT: Final = closed(
    {
        "port": {"oneOf": [PORT, _NAMED]},
        "endPort": PORT,
        "protocol": {"enum": ["TCP", "UDP", "SCTP"]},
    }
)
PEERS: Final = listed(_PEER)
INGRESS_RULES: Final = listed(closed({"ports": listed(_POLICY_PORT), "from": PEERS}))
EGRESS_RULES: Final = listed(closed({"ports": listed(_POLICY_PORT), "to": PEERS}))

_PROBE_KEYS: Final = "startupProbe livenessProbe readinessProbe lifecycle terminationMessagePath terminationMessagePolicy stdin stdinOnce tty"
CONTAINER: Final = _keys(
    "command args workingDir ports env envFrom resources resizePolicy restartPolicy restartPolicyRules volumeMounts volumeDevices "
    f"imagePullPolicy securityContext {_PROBE_KEYS}",
    "name",
    "image",
    name=_NAMED,
    image=_NAMED,
)
UPLOADER: Final = {key: value for key, value in CONTAINER.items() if key != "required"}
"""The container of an upload, whose name the chart knows; `{}` is none."""
ENV: Final = listed(closed({"name": _NAMED, "value": _TEXT, "valueFrom": _OBJECT}, "name"))
ENV_FROM: Final = listed(closed({"prefix": _TEXT, "configMapRef": _OBJECT, "secretRef": _OBJECT}))
VOLUMES: Final = listed(
    _keys(
        "secret configMap emptyDir projected persistentVolumeClaim csi ephemeral downwardAPI hostPath nfs image iscsi fc flexVolume rbd "
        "cephfs cinder glusterfs azureFile azureDisk awsElasticBlockStore gcePersistentDisk gitRepo flocker quobyte portworxVolume "
        "photonPersistentDisk scaleIO storageos vsphereVolume",
        "name",
        name=_NAMED,
    )
)
MOUNTS: Final = listed(
    closed(
        {
            "name": _NAMED,
            "mountPath": _NAMED,
            "subPath": _TEXT,
            "subPathExpr": _TEXT,
            "readOnly": _TRUTH,
            "recursiveReadOnly": _TEXT,
            "mountPropagation": _TEXT,
        },
        "name",
        "mountPath",
    )
)
TOLERATIONS: Final = listed(
    closed(
        {
            "key": _TEXT,
            "operator": {"enum": ["Exists", "Equal", "Lt", "Gt"]},
            "value": _TEXT,
            "effect": {"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": _NUMBER,
        }
    )
)
SPREAD: Final = listed(
    closed(
        {
            "maxSkew": _NUMBER | {"minimum": 1},
            "topologyKey": _NAMED,
            "whenUnsatisfiable": {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
            "labelSelector": _SELECTOR,
            "matchLabelKeys": listed(_TEXT),
            "minDomains": _NUMBER,
            "nodeAffinityPolicy": {"enum": ["Honor", "Ignore"]},
            "nodeTaintsPolicy": {"enum": ["Honor", "Ignore"]},
        },
        "maxSkew",
        "topologyKey",
        "whenUnsatisfiable",
    )
)
_RULES_OF_AFFINITY: Final = _keys(
    "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution"
)
AFFINITY: Final = closed(dict.fromkeys(("nodeAffinity", "podAffinity", "podAntiAffinity"), _RULES_OF_AFFINITY))
PARENT_REFS: Final = listed(
    closed(
        {
            "group": _TEXT,
            "kind": _TEXT,
            "namespace": _TEXT,
            "name": _NAMED,
            "sectionName": _TEXT,
            "port": PORT,
        },
        "name",
    )
)
ISSUER: Final = closed({"name": _TEXT, "kind": _TEXT, "group": _TEXT})
TRIGGERS: Final = listed(
    closed(
        {
            "type": _NAMED,
            "name": _TEXT,
            "metadata": TEXTS,
            "metricType": {"enum": ["AverageValue", "Value", "Utilization"]},
            "useCachedMetrics": _TRUTH,
            "authenticationRef": _OBJECT,
        },
        "type",
        "metadata",
    )
)
RULE_GROUPS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": listed(
        closed(
            {
                "alert": _NAMED,
                "record": _NAMED,
                "expr": {"type": ["string", "integer"]},
                "for": _TEXT,
                "keep_firing_for": _TEXT,
                "labels": TEXTS,
                "annotations": TEXTS,
            },
            "expr",
        )
    ),
}
OBJECTS: Final = listed(
    {"oneOf": [_TEXT, {"type": "object", "required": ["apiVersion", "kind", "metadata"]}]},
)
PULL_SECRETS: Final = listed({"oneOf": [_TEXT, closed({"name": _NAMED}, "name")]})
"""Names, or objects with a name: parent charts have both."""

_QUANTITY: Final[dict[str, Any]] = {
    "type": ["string", "number", "null"],
    "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
}
_AMOUNTS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$": _QUANTITY},
}
RESOURCES: Final = closed({"requests": _AMOUNTS, "limits": _AMOUNTS, "claims": listed(_OBJECT)})
LABELS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {
        "^([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$": {
            "type": "string",
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
            "maxLength": 63,
        }
    },
}
