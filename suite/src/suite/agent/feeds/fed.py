"""The state of a colleague that feeds send. Pure.

It is rich presence only, and not of the SIP source, so that no telephone system receives its own reports. Otherwise a busy phone would
light a lamp, the lamp would make the extension busy, and neither would ever end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.aggregate import aggregate
from suite.agent.core.values import SourceName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from suite.agent.core.values import RichState, RichStatement

ECHOES: Final = frozenset({SourceName.SIP})
"""Sources that may receive the states that a feed sends."""


def fed_state(rich: Mapping[SourceName, RichStatement], winning: SourceName) -> RichState:
    """Return the state of a colleague to send.

    An uncertain state is sent as if it were certain, because phones cannot show doubt. It becomes unknown when its source gives it up.

    Args:
        rich: source -> its statement.
        winning: the winning technology.
    """
    told = {source: said for source, said in rich.items() if source not in ECHOES}
    return aggregate(told, {}, winning).rich
