"""Serves a site of pages: its application, its static files, and the names of its routes for metrics."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pages.layout import static_path
from relay.http.serving import Listening, serving
from relay.settings.validators import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette
    from starlette.types import Scope

    from pages.settings import PagesSettings
    from relay.http.metrics import RouteOf

_KEEP_ALIVE: Final = timedelta(seconds=15)
_MAX_HEAD_BYTES: Final = 32 * 1024  # cookies of some flows, and the longest headers that proxies add


def static_files(home: str) -> Mount:
    """Return the route of a site's style sheet and scripts, which all sites share."""
    return Mount(static_path(home), StaticFiles(packages=[("pages", "static")]))


@asynccontextmanager
async def serving_pages(app: Starlette, settings: PagesSettings) -> AsyncIterator[int]:
    """Serve a site and yield its port; on exit, requests in progress may finish.

    Raises:
        OSError: the port is taken.
    """
    listening = Listening(
        host=settings.host,
        port=settings.port,
        tls_cert_pem=settings.tls_cert_pem,
        tls_key_pem=settings.tls_key_pem,
        tls_files=settings.tls_files,
        name=settings.ROLE,
        limits=settings.limits,
        proxies=listed(settings.trusted_proxies),
        keep_alive=_KEEP_ALIVE,
        head_bytes=_MAX_HEAD_BYTES,
        grace=settings.grace,
    )
    proxies: dict[str, Any] = {
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
    }
    async with serving(app, listening, _routes(app, settings.HOME), **proxies) as port:
        yield port


def _routes(app: Starlette, home: str) -> RouteOf:
    """Return a function that names the route of a request that was answered."""
    paths = {route.endpoint: route.path for route in app.routes if isinstance(route, Route)}

    def route_of(scope: Scope) -> str:
        if scope["path"].startswith(f"{static_path(home)}/"):
            return f"{static_path(home)}/{{path}}"
        endpoint = scope.get("endpoint")
        return paths.get(endpoint, "") if endpoint is not None else ""

    return route_of
