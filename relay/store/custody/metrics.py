"""The metrics of custody; whether its writes are confirmed is in `relay.store.server.metrics`."""

from __future__ import annotations

from typing import Final

from relay.ops.instruments import Counter
from relay.ops.metric import EDGE, Metric, MetricKind
from relay.store.sealing.marks import MarkVerdict

NOT_GENUINE: Final = Counter(
    Metric(
        name="relay.suite_keys.not_genuine",
        kind=MetricKind.COUNTER,
        unit="{call}",
        meaning="Calls refused because the record of their suite key has no genuine mark, by reason",
        question="Was a record written to Redis without the key ring, or does an edge lack a public key?",
        roles=(EDGE,),
        labels={"reason": tuple(verdict.value for verdict in MarkVerdict if verdict is not MarkVerdict.GENUINE)},
    )
)
