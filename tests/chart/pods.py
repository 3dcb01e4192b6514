"""Pods of the chart on this machine: what their Secrets hold, as files, and the environment of their processes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import trustme

from relay.graph.push.certificates import make
from relay.store.sealing.signing import Purpose, public_set
from tests.support.ring import RING, RING_JSON

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "/etc/presence-relay"
PAIR: Final = trustme.CA().issue_cert("relay.example.com")
CONTENTS: Final = {
    "url": b"rediss://redis.example.com:6379/0",
    "key-ring.json": RING_JSON.encode(),
    "key-ring.json.pub": public_set(RING, Purpose.SUITE_KEY).encode(),
    "client-secret": b"secret-of-entra",
    "password": b"secret-of-mail",
    "tls.crt": PAIR.cert_chain_pems[0].bytes(),
    "tls.key": PAIR.private_key_pem.bytes(),
    "ca.crt": PAIR.cert_chain_pems[0].bytes(),
    "token": b"0123456789abcdef" * 2,
    "suite.key": b"psk_00_00",
    "backup.key.pub": b"{}",
}
"""What a mounted Secret holds, by the name of its file."""


def mounted(pod: dict[str, Any], folder: Path) -> None:
    """Write what the pod's Secrets would be, as Kubernetes mounts them."""
    for volume in pod["volumes"]:
        if "secret" not in volume:
            continue
        (folder / volume["name"]).mkdir(exist_ok=True)
        for item in volume["secret"].get("items", [{"path": "2026-11.pem"}]):
            content = CONTENTS.get(item["path"])
            if content is None:  # certificates that notifications are encrypted for
                content = make("test", datetime.now(UTC))
            (folder / volume["name"] / item["path"]).write_bytes(content)


def environment(container: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return the variables of a container, whose files are in a folder."""
    values = {each["name"]: each.get("value", "of-a-secret") for each in container["env"]}
    return {
        name: value.replace("$(VALKEY_PASSWORD)", "of-a-secret").replace(FOLDER, str(folder))
        for name, value in values.items()
    }
