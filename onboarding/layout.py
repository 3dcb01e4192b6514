"""The pages, rendered. Everything that comes from outside is escaped by the templates' engine."""

from __future__ import annotations

import hashlib
import re
from contextvars import ContextVar
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from onboarding import dates
from onboarding.problems import PROBLEMS
from relay.core.consent.microsoft_error import NOTHING, Said
from relay.http.paths import ONBOARDING
from relay.locale import languages
from relay.locale.languages import Language

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

    from jinja2.bccache import Bucket

    from onboarding.settings import WebSettings

STATIC: Final = f"{ONBOARDING}/static"

HERE: Final[ContextVar[str]] = ContextVar("here", default=ONBOARDING)
"""Where the page under way can be read again: what the language switch comes back to. Set by the guard."""


class Pages:
    """Renders templates with what all pages share."""

    def __init__(self, settings: WebSettings) -> None:
        self.environment = environment()
        self.environment.globals.update(
            operator=settings.operator,
            support=settings.support,
            start_url=settings.start_url,
            has_mail=settings.has_mail,
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page."""
        return HTMLResponse(
            self.environment.get_template(template).render(page=template.removesuffix(".html"), **values), status
        )

    def problem(
        self,
        key: str,
        *,
        flow_id: str = "",
        retry_after_s: int = 0,
        headers: Mapping[str, str] | None = None,
        sentence: str = "",
        said: Said = NOTHING,
    ) -> HTMLResponse:
        """A page that says what went wrong, and leads back to the flow or to the beginning.

        Args:
            key: of `PROBLEMS`.
            flow_id: the flow; empty: to the beginning.
            retry_after_s: when to come again, if known.
            headers: more of the answer.
            sentence: what Microsoft's refusal means, a message, if that is what went wrong.
            said: Microsoft's own words.
        """
        problem = PROBLEMS[key]
        values = {"problem": problem, "flow_id": flow_id, "sentence": sentence, "said": said}
        response = self.page("problem.html", problem.status, **values)
        response.headers.update(headers or {})
        if retry_after_s:
            response.headers["retry-after"] = str(retry_after_s)
        return response


class _Compiled(BytecodeCache):
    """Templates, each compiled once a process: that takes half a second for all of them, and a process may serve more than one site."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED: Final = _Compiled()


def environment() -> Environment:
    """The templates' engine with everything that does not depend on who serves the pages."""
    made = Environment(
        bytecode_cache=_COMPILED,
        loader=PackageLoader("onboarding"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(languages.gettext, languages.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(
        prefix=ONBOARDING,
        static=lambda name: f"{STATIC}/{name}?v={_digest(name)}",
        language=languages.CURRENT.get,
        languages=tuple(Language),
        here=HERE.get,
    )
    made.filters.update(
        say=languages.translate,
        date=dates.date,
        when=dates.when,
        clock=dates.clock,
        machine=dates.machine,
        span=dates.span,
        number=dates.number,
    )
    return made


def is_path(text: str) -> bool:
    """Whether a text is a path of this host and nothing else: never another host's, whatever a browser makes of it."""
    return len(text) <= _MAX_PATH_CHARS and _PATH.fullmatch(text) is not None


def where(method: str, path: str, query: str) -> str:
    """Where a page can be read again that answers this request: a form's page is the one above it."""
    if method != "GET":
        path, query = (path if path == ONBOARDING else path.rpartition("/")[0]), ""
    found = f"{path}?{query}" if query else path
    return found if is_path(found) else ONBOARDING


def _digest(name: str) -> str:
    """Changes with the file, so that browsers may keep it for ever."""
    return _DIGESTS[name]


_DIGESTS: Final = {
    file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    for file in resources.files("onboarding").joinpath("static").iterdir()
    if file.is_file()
}

_MAX_PATH_CHARS: Final = 500
_PATH: Final = re.compile(r"/(?:[\w.~-]+/)*[\w.~-]*(?:\?[\w.~=&%+-]*)?", re.ASCII)
