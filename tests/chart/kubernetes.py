"""Compares objects with the schemas of Kubernetes' own kinds, strictly, and with custom resource definitions in a folder."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import yaml

from tests.chart.engine import TOOLS

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS: Final = tuple(f"v1.{minor}.0" for minor in range(27, 38))
"""From the oldest that the chart is for to the newest that is bundled."""
CUSTOM: Final = frozenset(
    {"gateway.networking.k8s.io", "cert-manager.io", "monitoring.coreos.com", "keda.sh", "gateway.envoyproxy.io"}
)
"""Groups of custom resources: their schemas come in a folder, or not at all."""

_SCHEMAS: Final = TOOLS / "kubernetes_validate" / "kubernetes-json-schema"


def is_custom(document: dict[str, Any]) -> bool:
    """Return whether the object is of no kind of Kubernetes itself."""
    return document["apiVersion"].partition("/")[0] in CUSTOM


def faults(document: dict[str, Any], version: str) -> list[str]:
    """Return what a version's schema says against an object of Kubernetes' own."""
    group, _, api = document["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (document["kind"].lower(), group.split(".")[0], api)))
    return lines(document, _validator(version, name))


def lines(document: dict[str, Any], validator: Any) -> list[str]:
    """Return what a validator says against an object, a line for each fault."""
    where = f"{document['kind']}/{document['metadata']['name']}"
    return [
        f"{where} {'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator.iter_errors(document)
    ]


@cache
def _registry(version: str) -> jsonschema_rs.Registry:
    definitions = json.loads((_SCHEMAS / f"{version}-local-strict" / "_definitions.json").read_text())
    return jsonschema_rs.Registry([("json-schema:///_definitions.json", definitions)])


@cache
def _validator(version: str, name: str) -> Any:
    schema = json.loads((_SCHEMAS / f"{version}-local-strict" / f"{name}.json").read_text())
    return jsonschema_rs.validator_for(schema, registry=_registry(version), base_uri="json-schema:///")


def definitions(folder: Path) -> dict[tuple[str, str], Any]:
    """Return (apiVersion, kind) -> validator, of the custom resource definitions in a folder."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        for crd in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = _strict(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = jsonschema_rs.Draft7Validator(
                    schema
                )
    return found


def _strict(schema: Any) -> Any:
    """Return a schema that refuses unknown fields, as a server does with strict validation."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items() if key not in ("format", "default", "properties")}
    if "properties" in schema:  # whose keys are names
        strict["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
    if "(?i)" in str(strict.get("pattern", "")):  # Go's, which others do not read
        del strict["pattern"]
    if strict.pop("x-kubernetes-int-or-string", False):
        strict.pop("type", None)
        strict.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    is_open = strict.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in strict
    if isinstance(strict.get("properties"), dict) and strict.get("type") == "object" and not is_open:
        strict["additionalProperties"] = False
    return strict
