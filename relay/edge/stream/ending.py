"""The end of one stream. Its reason is the first one that any part of the stream reports."""

from __future__ import annotations

import asyncio

from relay.edge.errors import forget_frames, is_expected


class Ending:
    """The end of one stream.

    Attributes:
        reached: done when the stream has ended, with the reason; None when the suite half-closed it, or is gone.
    """

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    @property
    def is_reached(self) -> bool:
        """Return whether the stream has ended."""
        return self.reached.done()

    def reach(self, error: BaseException | None) -> None:
        """End the stream; the first reason counts."""
        if error is not None and is_expected(error):
            forget_frames(error)  # they refer to this stream, and it to the error; perhaps no handler refuses it
        if not self.reached.done():
            self.reached.set_result(error)
