"""The access tokens of one call to Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection


class CallTokens:
    """Returns tokens for one call, from any working grant.

    Attributes:
        account: the account of the last token; empty before the first one.
    """

    def __init__(
        self, choose: Callable[[str, Collection[str]], Awaitable[tuple[str, str]]], rather_not: Collection[str] = ()
    ) -> None:
        self.account = ""
        self._choose = choose
        self._rather_not = rather_not

    async def __call__(self, refused: str = "") -> str:
        """Return a token, as of `TokenSource`."""
        self.account = ""
        self.account, token = await self._choose(refused, self._rather_not)
        return token
