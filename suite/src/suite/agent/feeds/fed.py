"""The state of a colleague that feeds tell. Pure.

Rich presence only, and of no source that speaks SIP: a telephone system that were told what it had said itself would hear its own
echo. A busy phone would light a lamp, the lamp would make the extension busy, and neither would ever end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.aggregate import aggregate
from suite.agent.core.values import SourceName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from suite.agent.core.values import RichState, RichStatement

ECHOES: Final = frozenset({SourceName.SIP})
"""Sources that may hear what is fed."""


def fed_state(rich: Mapping[SourceName, RichStatement], winning: SourceName) -> RichState:
    """Return the state to tell of a colleague.

    A state that its source cannot confirm at the moment is told as it is: phones cannot draw doubt. It becomes unknown when the source gives up.

    Args:
        rich: source -> what it says.
        winning: the winning technology.
    """
    told = {source: said for source, said in rich.items() if source not in ECHOES}
    return aggregate(told, {}, winning).rich
