"""Exception handlers that answer with a problem page, for any site of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from pages.problems import ProblemError, microsoft_error_of, problem_of, sentence_of
from relay.errors import RelayError, support_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response

    from pages.layout import Pages

log = structlog.get_logger(__name__)


class ErrorPages:
    """Exception handlers that answer with a problem page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def of_routes(self) -> dict[int, Callable[[Request, Exception], Awaitable[Response]]]:
        """Return the handlers of requests that match no view."""
        return {404: self.no_route, 405: self.no_route}

    async def problem(self, _request: Request, error: Exception) -> Response:
        """Answer a `ProblemError`."""
        assert isinstance(error, ProblemError)
        if isinstance(error.__cause__, RelayError):
            _logged(error.__cause__)
        return self._pages.problem(
            error.problem,
            flow_id=error.flow_id,
            retry_after_s=error.retry_after_s,
            sentence=error.sentence,
            said=error.said,
        )

    async def relay_error(self, _request: Request, error: Exception) -> Response:
        """Answer a `RelayError` that no view handled."""
        assert isinstance(error, RelayError)
        _logged(error)
        return self._pages.problem(problem_of(error), sentence=sentence_of(error), said=microsoft_error_of(error))

    async def no_route(self, _request: Request, error: Exception) -> Response:
        """Answer a request that matches no view."""
        http: HTTPException = error  # type: ignore[assignment]  # registered for these statuses only
        key = "wrong_method" if http.status_code == 405 else "not_found"
        return self._pages.problem(key, headers=http.headers)


def _logged(error: RelayError) -> None:
    key = problem_of(error)
    if key == "fault":
        log.error("step_failed", exc_info=error)
    else:
        log.warning("step_postponed", problem=key, error=str(error), **support_fields(error))
