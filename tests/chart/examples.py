"""The examples in the chart's folder `values`, and the smallest values that render, for tests to change."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.chart.engine import CHART, NEWEST, Helm, Rendering

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES: Final[dict[str, Path]] = {path.stem: path for path in sorted((CHART / "values").glob("*.yaml"))}

_SMALLEST: Final[dict[str, Any]] = {
    "image": {"repository": "presence-relay"},
    "redis": {"existingSecret": "redis"},
    "keyRing": {"existingSecret": "key-ring"},
    "entra": {"clientId": "00000000-0000-0000-0000-000000000000", "credential": {"existingSecret": "entra"}},
    "edge": {"host": "relay.example.com", "tls": {"existingSecret": "edge-tls"}},
    "web": {"host": "pages.example.com"},
    "webhook": {"host": "hook.example.com", "encryption": {"existingSecret": "encryption"}},
}


CONSOLE: Final[dict[str, Any]] = {
    "console": {
        "enabled": True,
        "browserUrl": "https://console.internal.example.com",
        "entra": {
            "tenantId": "11111111-0000-0000-0000-000000000000",
            "clientId": "22222222-0000-0000-0000-000000000000",
            "credential": {"existingSecret": "console-entra"},
        },
        "service": {"enabled": True},
    },
    "networkPolicy": {"console": {"from": [{"podSelector": {"matchLabels": {"app": "internal-gateway"}}}]}},
}
"""The operator's console, behind an internal gateway."""


def values(*changes: dict[str, Any]) -> dict[str, Any]:
    """Return the smallest values that render, with changes merged into them."""
    whole = copy.deepcopy(_SMALLEST)
    for change in changes:
        _merge(whole, change)
    return whole


def at(path: str, value: Any) -> dict[str, Any]:
    """Return a change: `at("edge.tls.enabled", False)`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


class Renderings:
    """What the examples become; each is rendered once for an engine and a version of Kubernetes."""

    def __init__(self, helm: Helm) -> None:
        self._helm = helm
        self._of = cache(self._render)

    def __call__(self, example: str, major: str = "v4", kube: str = NEWEST) -> Rendering:
        return self._of(example, major, kube)

    def all(self) -> dict[str, Rendering]:
        """Return every example, rendered by Helm 4 for the newest Kubernetes."""
        return {name: self(name) for name in EXAMPLES}

    def _render(self, example: str, major: str, kube: str) -> Rendering:
        return self._helm.render(yaml.safe_load(EXAMPLES[example].read_text()), major=major, kube=kube)
