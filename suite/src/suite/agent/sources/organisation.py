"""The connection to Teams while a stream to the relay is open: whether the relay can read the organisation. Pure."""

from __future__ import annotations

from typing import Final

from suite.agent.sources.source import Connector, ConnectorState
from suite.values import Status

_STATES: Final = {
    Status.NONE: ConnectorState(Connector.UP_AND_RUNNING),
    Status.PENDING: ConnectorState(Connector.CONNECTING, "The relay has not read the organisation's presence yet."),
    Status.CONSENT_REQUIRED: ConnectorState(
        Connector.FORBIDDEN,
        "The organisation's consent at Microsoft has ended or was not given. One of its administrators must renew it on the relay's page.",
    ),
    Status.ACCESS_DENIED: ConnectorState(
        Connector.FORBIDDEN,
        "Microsoft does not let the relay read the organisation's presence. One of its administrators must permit it.",
    ),
    Status.SUSPENDED: ConnectorState(
        Connector.FORBIDDEN,
        "The relay's operator has suspended the organisation, or not approved it yet. Ask the operator.",
    ),
    Status.THROTTLED: ConnectorState(
        Connector.CONNECTION_ERROR,
        "Microsoft asks the relay to wait. Presence is shown as uncertain until it answers again.",
    ),
    Status.SOURCE_UNREACHABLE: ConnectorState(
        Connector.CONNECTION_ERROR, "The relay cannot reach Microsoft. Presence is shown as uncertain until it can."
    ),
    Status.STALE: ConnectorState(
        Connector.CONNECTION_ERROR,
        "Microsoft has not confirmed presence for a while. Presence is shown as uncertain. Ask the relay's operator if it lasts.",
    ),
}


def connection_to(status: Status) -> ConnectorState:
    """Return the state of the connection for the relay's status of the organisation; NONE means that it can be read."""
    return _STATES.get(status, _STATES[Status.STALE])
