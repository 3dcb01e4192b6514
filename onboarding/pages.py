"""The pages, rendered. Everything that comes from outside is escaped by the templates' engine."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from onboarding.problems import PROBLEMS
from onboarding.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onboarding.settings import WebSettings

STATIC: Final = f"{PREFIX}/static"


class Pages:
    """Renders templates with what all pages share."""

    def __init__(self, settings: WebSettings) -> None:
        self._environment = Environment(
            loader=PackageLoader("onboarding"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            operator=settings.operator,
            support=settings.support,
            prefix=PREFIX,
            start_url=settings.start_url,
            static=lambda name: f"{STATIC}/{name}?v={_digest(name)}",
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page."""
        return HTMLResponse(self._environment.get_template(template).render(**values), status)

    def problem(
        self, key: str, *, flow_id: str = "", retry_after_s: int = 0, headers: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        """A page that says what went wrong, and leads back to the flow or to the beginning."""
        problem = PROBLEMS[key]
        response = self.page("problem.html", problem.status, problem=problem, flow_id=flow_id)
        response.headers.update(headers or {})
        if retry_after_s:
            response.headers["retry-after"] = str(retry_after_s)
        return response


def _digest(name: str) -> str:
    """Changes with the file, so that browsers may keep it for ever."""
    return _DIGESTS[name]


_DIGESTS: Final = {
    file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    for file in resources.files("onboarding").joinpath("static").iterdir()
    if file.is_file()
}
