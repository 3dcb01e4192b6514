"""Check a relay's health with gRPC's health protocol. It needs no suite key."""

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
"""An encoded reply whose field 1, `status`, is SERVING."""


class Health(enum.Enum):
    """The health of a relay."""

    SERVING = "serving: suites may connect"
    NOT_SERVING = "not serving: it is stopping, or has just started"
    UNREACHABLE = "unreachable"


async def check(target: Target, *, plain_text: bool = False) -> tuple[Health, str]:
    """Return the health of a relay, and gRPC's error text when it is unreachable.

    Args:
        target: the relay.
        plain_text: connect without TLS, to an edge behind a gateway. No secret is sent.
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
