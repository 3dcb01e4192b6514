"""Renders the templates. Everything that comes from outside is escaped by the template engine."""

from __future__ import annotations

import hashlib
import re
from contextvars import ContextVar
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from jinja2 import BytecodeCache, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from pages import dates
from pages.problems import PROBLEMS
from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError
from relay.locale import languages
from relay.locale.languages import Language

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

    from jinja2.bccache import Bucket

    from pages.settings import PagesSettings

HERE: Final[ContextVar[str]] = ContextVar("here", default="/")
"""The address at which the present page can be loaded again, for the language switch. Set by the middleware."""


class Pages:
    """Renders templates with the values that all pages of a site share."""

    def __init__(self, settings: PagesSettings, package: str, *, own_page: str = "", **values: Any) -> None:
        """Make the pages of a site.

        Args:
            settings: of the site.
            package: the package with the site's templates, which can use those of `pages` too.
            own_page: the address of the page behind the sign-in, for problems during the sign-in; empty: the first page.
            values: further values that its templates share, among them `strapline` and `promise`, two messages.
        """
        self.environment = environment(settings.HOME, package)
        self.environment.globals.update(
            operator=settings.operator,
            support=settings.support,
            start_url=settings.start_url,
            own_page=own_page,
            **values,
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page."""
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
        said: MicrosoftError = NO_ERROR,
    ) -> HTMLResponse:
        """Render a page that explains a problem and links back to the flow or to the first page.

        Args:
            key: a key of `PROBLEMS`.
            flow_id: the flow to link to; empty: the first page.
            retry_after_s: seconds until a retry makes sense, if known.
            headers: more headers of the response.
            sentence: the meaning of Microsoft's refusal, a message; empty if there was none.
            said: Microsoft's error text.
        """
        problem = PROBLEMS[key]
        values = {"problem": problem, "flow_id": flow_id, "sentence": sentence, "said": said}
        response = self.page("problem.html", problem.status, **values)
        response.headers.update(headers or {})
        if retry_after_s:
            response.headers["retry-after"] = str(retry_after_s)
        return response


class _Compiled(BytecodeCache):
    """Compiled templates, shared by all sites of a process: compiling all of them takes half a second."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED: Final = _Compiled()


def static_path(home: str) -> str:
    """Return the path under which a site serves its style sheet and scripts."""
    return f"{home}/static"


def environment(home: str, package: str) -> Environment:
    """Return the template engine of a site, with all values that do not depend on the operator."""
    made = Environment(
        bytecode_cache=_COMPILED,
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(languages.gettext, languages.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(
        prefix=home,
        static=lambda name: f"{static_path(home)}/{name}?v={_digest(name)}",
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
    """Return whether a text is a path of this host that no browser interprets as another host's address."""
    return len(text) <= _MAX_PATH_CHARS and _PATH.fullmatch(text) is not None


def page_address(method: str, path: str, query: str, home: str) -> str:
    """Return the address that loads the page of a request again: for a form, the page above it.

    Args:
        method: of the request.
        path: of the request.
        query: of the request.
        home: the site's first page, used if the request's address is not a path of this host.
    """
    if method != "GET":
        path, query = (path if path == home else path.rpartition("/")[0]), ""
    found = f"{path}?{query}" if query else path
    return found if is_path(found) else home


def _digest(name: str) -> str:
    """Return a digest of a static file, so that browsers may cache it for ever."""
    return _DIGESTS[name]


_DIGESTS: Final = {
    file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    for file in resources.files("pages").joinpath("static").iterdir()
    if file.is_file()
}

_MAX_PATH_CHARS: Final = 500
_PATH: Final = re.compile(r"/(?:[\w.~-]+/)*[\w.~-]*(?:\?[\w.~=&%+-]*)?", re.ASCII)
