"""Creates a Secret through Kubernetes' API, with the service account of this process's pod."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIMEOUT_S: Final = 20.0
_MOST_REPLY_BYTES: Final = 1 << 20


class SecretRefused(RelayError):
    """Kubernetes did not create the Secret; the text states the reason, without the Secret's content."""


def create_secret(name: str, data: Mapping[str, str], *, api: str, account: Path) -> bool:
    """Create a Secret; return False when it exists, and leave it unchanged.

    Args:
        name: the Secret's name, in the pod's namespace.
        data: its entries.
        api: address of Kubernetes' API.
        account: folder with the token of the service account.

    Raises:
        SecretRefused: Kubernetes does not answer, or refuses.
    """
    try:
        token, namespace = ((account / part).read_text().strip() for part in ("token", "namespace"))
        trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
    except OSError as error:
        raise SecretRefused(
            f"{error.filename or account}: {error.strerror}; this works in a pod of Kubernetes with the token of its service account"
        ) from None
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
    place = urlsplit(api)
    connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=_TIMEOUT_S, context=trust)
    try:
        connection.request("POST", f"/api/v1/namespaces/{namespace}/secrets", json.dumps(body), headers)
        reply = connection.getresponse()
        status, text = reply.status, reply.read(_MOST_REPLY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise SecretRefused(f"{api} does not answer: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if status == http.client.CONFLICT:
        return False
    if status != http.client.CREATED:
        raise SecretRefused(f"Kubernetes refuses to make the Secret {name}: {_message(status, text)}")
    return True


def _message(status: int, text: bytes) -> str:
    try:
        said = json.loads(text).get("message")
    except (ValueError, AttributeError):
        said = None
    return str(said)[:500] if said else f"HTTP {status}"
