"""Ask a relay for its health, by gRPC's own health protocol: no suite key is needed."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import grpc
from grpc import aio

from suite.errors import ConfigError

if TYPE_CHECKING:
    from suite.channel import Target

TIMEOUT_S: Final = 15.0
_CHECK: Final = "/grpc.health.v1.Health/Check"
_SERVING: Final = b"\x08\x01"
"""The reply with field 1, `status`, being SERVING: all of the protocol that is needed here."""


class Health(enum.Enum):
    """The health of a relay."""

    SERVING = "serving: suites may connect"
    NOT_SERVING = "not serving: it is about to stop, or has only begun"
    UNREACHABLE = "unreachable"


async def check(target: Target, *, plain_text: bool = False) -> tuple[Health, str]:
    """Return the health of a relay, with what gRPC says when it is not reached.

    Args:
        target: the relay.
        plain_text: speak without TLS, to an edge behind a gateway. No key is sent, so nothing is given away.
    """
    opened = aio.insecure_channel(target.address) if plain_text else target.open()
    async with opened as channel:
        try:
            call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_CHECK)
            reply = await call(b"", timeout=TIMEOUT_S, wait_for_ready=False)
        except grpc.RpcError as error:
            return Health.UNREACHABLE, _words(error)
    return (Health.SERVING if reply == _SERVING else Health.NOT_SERVING), ""


def _words(error: grpc.RpcError) -> str:
    if not isinstance(error, aio.AioRpcError):
        raise ConfigError(f"gRPC refuses the call: {error}.")
    return f"{error.code().name}: {error.details() or 'no details'}"
