"""The layout of pages behind a sign-in: sections, the visitor, and the message of the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pages.flashes import Flash, message_in
from relay.locale.languages import gettext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from pages.flashes import FlashMessage
    from pages.layout import Pages
    from pages.session_store import LoadedSession, SessionStore, VisitorSession


class LetIn(Protocol):
    """A visitor who has signed in and has access."""

    @property
    def held(self) -> LoadedSession[Any]:
        """The session as read from the store."""

    @property
    def token(self) -> str:
        """The token of this session's forms."""


V = TypeVar("V", bound=LetIn)


class VisitorLayout(Generic[V]):
    """Renders the pages of a site for a visitor with access."""

    def __init__(
        self,
        pages: Pages,
        sessions: SessionStore[Any],
        messages: Mapping[str, FlashMessage],
        sections: Sequence[tuple[str, str]],
    ) -> None:
        """Make the layout of a site.

        Args:
            pages: renders its templates.
            sessions: of the site.
            messages: messages about the last step that its sessions may hold, by key.
            sections: (address, label) of each.
        """
        self._pages = pages
        self._sessions = sessions
        self._messages = messages
        self._sections = sections

    async def page(
        self, visitor: V, template: str, section: str, heading: str, *, status: int = 200, **values: Any
    ) -> Response:
        """Render a page, with the message about the last step.

        Args:
            visitor: the person who looks at it.
            template: extends `signed_in.html`.
            section: the address of one of the sections.
            heading: the page's subject, for the window's title; a message.
            status: the HTTP status.
            values: everything else that the template needs.
        """
        message = self.message(visitor.held.session)
        if visitor.held.session.flash is not None:
            await self._sessions.change(visitor.held, flash=None)
        frame = {**self.frame(visitor, section, heading), "token": visitor.token, "message": message}
        return self._pages.page(template, status, **frame, **values)

    def frame(self, visitor: V, section: str, heading: str) -> dict[str, Any]:
        """Return the values that `signed_in.html` needs for a page without a message."""
        sections = [(address, gettext(label)) for address, label in self._sections]
        return {"visitor": visitor, "section": section, "sections": sections, "heading": heading, "message": None}

    def message(self, session: VisitorSession) -> FlashMessage | None:
        """Return the message that a session holds; None when it holds none."""
        return message_in(self._messages, session.flash)

    async def flash(self, visitor: V, key: str, about: str = "") -> None:
        """Leave a message for the next page: a key of the site's messages or of `PROBLEMS`, and the person or thing that it is about."""
        await self._sessions.change(visitor.held, flash=Flash(key, about))
