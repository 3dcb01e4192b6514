"""A site of pages as an ASGI application: the middleware before its views, and the handlers of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pages.error_pages import ErrorPages
from pages.language_switch import LanguageSwitch
from pages.middleware import PagesMiddleware
from pages.problems import ProblemError
from pages.rate_limit import RateLimiter
from pages.serving import static_files
from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pages.layout import Pages
    from pages.settings import PagesSettings

    Outside = Callable[[Request, Exception], Awaitable[Response]]


def create_site(
    settings: PagesSettings,
    pages: Pages,
    routes: Iterable[BaseRoute],
    handlers: Mapping[type[Exception], Outside],
    record_proxy: Callable[[], Awaitable[None]],
) -> Starlette:
    """Return a site's application, with the host's root, static files, the language switch and error pages.

    Args:
        settings: the address and the limits.
        pages: renders the templates.
        routes: of the site's views.
        handlers: answer the site's own exceptions.
        record_proxy: records that requests come through a proxy that the settings do not name.
    """
    errors = ErrorPages(pages)
    rate_limiter = RateLimiter(settings.rate_limits)

    async def root(_request: Request) -> Response:
        return RedirectResponse(settings.HOME, status_code=303)

    app = Starlette(
        routes=[
            static_files(settings.HOME),
            Route("/", root, methods=["GET"]),
            LanguageSwitch(settings).route(),
            *routes,
        ],
        middleware=[
            Middleware(
                PagesMiddleware, settings=settings, pages=pages, rate_limiter=rate_limiter, record_proxy=record_proxy
            )
        ],
        exception_handlers={
            **handlers,
            ProblemError: errors.problem,
            RelayError: errors.relay_error,
            **errors.of_routes(),
        },
    )
    app.state.rate_limiter = rate_limiter
    app.router.redirect_slashes = False  # it would build an address from the Host header
    return app
