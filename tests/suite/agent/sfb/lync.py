"""A stand-in for Skype for Business Server, on real sockets with TLS, written from the requests and answers of Microsoft's pages.

    https://learn.microsoft.com/skype-sdk/ucwa/createanapplication                         autodiscover, token, application
    https://learn.microsoft.com/skype-sdk/ucwa/subscribetothepresenceofselectedcontacts    subscription, events, presence
    https://learn.microsoft.com/skype-sdk/ucwa/extendapresencesubscription                 extension, and 404 when it came too late
    https://learn.microsoft.com/skype-sdk/ucwa/eventchanneldetails, /eventsinucwa          ack, next, resume, resync, 404, 409

It is strict: whatever the pages do not allow is noted in `wrong`, and each test ends with a look at that. It plays faults before its own answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.waiting import eventually

AUTODISCOVER: Final = "/Autodiscover/AutodiscoverService.svc/root"
USER: Final = "agent@contoso.example"
PASSWORD: Final = "pass word&1"
Fault = Callable[[Request], Awaitable[Response]]
Handler = Callable[["Lync", Request], Awaitable[Response]]


def answer(value: Any, status: int = 200, **headers: str) -> JSONResponse:
    return JSONResponse(value, status, {name.replace("_", "-"): each for name, each in headers.items()})


def trouble(status: int, code: str, subcode: str = "", **headers: str) -> JSONResponse:
    """An error as UCWA/errorsandinformationalmessages has it."""
    said = {
        "code": code,
        "message": "An error occurred. Please retry. If the problem persists, contact your support team.",
    }
    return answer(said | ({"subcode": subcode} if subcode else {}), status, **headers)


@dataclass(slots=True, eq=False)
class App:
    """One application. `queue` has the events that its next answers bring; `ack` is of the newest answer."""

    number: int
    endpoint: str
    ack: int = 1
    queue: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None
    subscriptions: dict[str, set[str]] = field(default_factory=dict)
    polls: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        return f"/ucwa/oauth/v1/applications/{self.number}"


class Lync:
    """The server.

    Attributes:
        wrong: what a client did that the pages do not allow.
        seen: method and path of each request, in order.
        presence: SIP address in lower case -> availability and activity.
        hold_s: seconds for which the event channel is held when there are no events.
        limit: contacts that may be subscribed to.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.wrong: list[str] = []
        self.seen: list[str] = []
        self.presence: dict[str, tuple[str, str]] = {}
        self.applications: dict[int, App] = {}
        self.tokens: dict[str, str] = {}
        self.passwords: list[str] = []
        self.extended: list[str] = []
        self.hold_s = 5.0
        self.limit = 10_000
        self.unfit: set[str] = set()
        """Addresses that are not accepted."""
        self.speaks_first = True
        """Whether a subscription brings an event for each contact, as the pages show it."""
        self.expires_in: Any = 28_289
        self.grants = "urn:microsoft.rtc:windows,urn:microsoft.rtc:anonmeeting,password"
        self._numbers = itertools.count(105)
        self._faults: list[tuple[re.Pattern[str], Fault, list[int]]] = []

    # Two names of one machine: autodiscover is asked at the first, the home server is the second.

    @property
    def root(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def web(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def app(self) -> App:
        """The newest application."""
        return self.applications[max(self.applications)]

    def count(self, pattern: str) -> int:
        return sum(re.fullmatch(pattern, each) is not None for each in self.seen)

    def fault(self, pattern: str, *faults: Response | Fault, times: int = 1) -> None:
        """Play faults, in order, each so many times, for requests whose method and path match."""
        for each in faults:
            self._faults.append((re.compile(pattern), _played(each), [times]))

    def has_played(self) -> bool:
        """Whether all faults were played."""
        return not any(times[0] for _, _, times in self._faults)

    async def next_polls_get(self, *faults: Response | Fault, times: int = 1) -> None:
        """Answer the poll that waits, play faults for those after it, and wait until they were played."""
        self.fault(r"GET /ucwa/oauth/v1/applications/\d+/events", *faults, times=times)
        self._push(self.app, {})
        await eventually(self.has_played)

    def heal(self) -> None:
        self._faults.clear()

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def becomes(self, user: str, availability: str, activity: str = "") -> None:
        """A person's presence changes."""
        self.presence[user.lower()] = (availability, activity)
        for app in self.applications.values():
            if any(user.lower() in {each.lower() for each in uris} for uris in app.subscriptions.values()):
                self._push(app, self._presence_event(app, user))

    def ends(self, kind: str = "updated") -> None:
        """Subscriptions are about to end, or have ended."""
        app = self.app
        for name in list(app.subscriptions):
            at = f"{app.path}/people/presenceSubscriptions/{name}"
            embedded = (
                {"_embedded": {"presenceSubscription": self._subscription(app, name)}} if kind == "updated" else {}
            )
            if kind == "deleted":
                del app.subscriptions[name]
            self._push(app, {"link": {"rel": "presenceSubscription", "href": at}, **embedded, "type": kind})

    # Answering

    async def __call__(self, request: Request, handler: Handler) -> Response:
        line = f"{request.method} {request.url.path}"
        self.seen.append(line)
        await request.body()
        self._check_head(request)
        for pattern, play, times in self._faults:
            if times[0] and pattern.fullmatch(line):
                times[0] -= 1
                return await play(request)
        return await handler(self, request)

    def _check_head(self, request: Request) -> None:
        host, bearer = request.headers["host"], request.headers.get("authorization", "")
        if request.headers.get("accept", "") != "application/json":
            self.wrong.append(f"{request.url.path}: Accept {request.headers.get('accept')}")
        if request.method == "POST" and "content-length" not in request.headers:
            self.wrong.append(f"{request.url.path}: no Content-Length, which IIS wants")
        token = bearer.removeprefix("Bearer ")
        if token and token in self.tokens and self.tokens[token] != host:
            self.wrong.append(f"{request.url.path}: the token of {self.tokens[token]} is shown to {host}")
        if bearer and request.url.path in ("/", "/webticket/oauthtoken"):
            self.wrong.append(f"{request.url.path}: a token where none belongs")

    def is_known(self, request: Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    def challenged(self, request: Request) -> Response:
        """401 with two challenges, as the page shows it."""
        where = f"https://{request.headers['host']}/webticket/oauthtoken"
        response = Response("<html>Server Error401</html>", 401, media_type="text/html")
        response.headers.append(
            "WWW-Authenticate",
            'Bearer trusted_issuers="00000002-0000-0ff1-ce00-000000000000@contoso.example", client_id="00000004-0000-0ff1-ce00-000000000000"',
        )
        response.headers.append("WWW-Authenticate", f'MsRtcOAuth href="{where}",grant_type="{self.grants}"')
        return response

    async def token(self, request: Request) -> Response:
        form = {name: each[0] for name, each in parse_qs((await request.body()).decode()).items()}
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            self.wrong.append("oauthtoken: content type")
        if form.keys() != {"grant_type", "username", "password"} or form["grant_type"] != "password":
            self.wrong.append(f"oauthtoken: {sorted(form)}")
        self.passwords.append(form.get("password", ""))
        if (form.get("username"), form.get("password")) != (USER, PASSWORD):
            return answer({"error": "invalid_grant"}, 400, cache_control="no-store")
        token = f"cwt=AAEB...{len(self.passwords)}buHc"
        self.tokens[token] = request.headers["host"]
        said = {
            "access_token": token,
            "expires_in": self.expires_in,
            "ms_rtc_identityscope": "local",
            "token_type": "Bearer",
        }
        return answer(said, cache_control="no-store")

    def make_application(self, wanted: dict[str, Any]) -> Response:
        texts = [wanted.get(name) for name in ("userAgent", "endpointId", "culture")]
        if wanted.keys() - {"userAgent", "endpointId", "culture", "instanceId"} or not all(
            isinstance(text, str) and 0 < len(text) <= 100 for text in texts
        ):
            self.wrong.append(f"applications: {wanted}")
        app = App(next(self._numbers), str(wanted.get("endpointId")))
        self.applications[app.number] = app
        return answer(application_resource(app.path, USER), 201)

    # Subscriptions

    def subscribe(self, app: App, wanted: dict[str, Any]) -> Response:
        uris, minutes = wanted.get("uris"), wanted.get("duration")
        if wanted.keys() != {"uris", "duration"} or not isinstance(minutes, int) or not 10 <= minutes <= 30:
            self.wrong.append(f"presenceSubscriptions: {wanted}")
        if (refused := self._checked_uris(app, uris)) is not None:
            return refused
        name = f"97b6bd{app.number:x}{len(app.subscriptions) + app.polls:x}"
        app.subscriptions[name] = set()
        at = f"{app.path}/people/presenceSubscriptions/{name}"
        self._push(app, {"link": {"rel": "presenceSubscription", "href": at}, "type": "added"})
        self._join(app, name, uris)
        return answer(self._subscription(app, name), 201)

    def add(self, app: App, name: str, wanted: dict[str, Any]) -> Response:
        if wanted.keys() != {"contactUris"}:
            self.wrong.append(f"presenceSubscriptionMemberships: {wanted}")
        if name not in app.subscriptions:
            return trouble(404, "NotFound", "ResourceNotFound")
        if (refused := self._checked_uris(app, wanted.get("contactUris"))) is not None:
            return refused
        self._join(app, name, wanted["contactUris"])
        return answer(
            {
                "rel": "presenceSubscriptionMemberships",
                "_links": {"self": {"href": f"{app.path}/people/presenceSubscriptionMemberships"}},
            },
            201,
        )

    def members(self, app: App, name: str) -> Response:
        """The contacts of a subscription. UCWA/presencesubscriptionmemberships_ref."""
        at = f"{app.path}/people/presenceSubscriptionMemberships"
        links = {
            uri: {"self": {"href": f"{at}/{name},{uri}"}, "contact": {"href": f"{app.path}/people/{uri.lower()}"}}
            for uri in app.subscriptions.get(name, ())
        }
        embedded = [{"rel": "presenceSubscriptionMembership", "_links": each} for each in links.values()]
        return answer(
            {
                "rel": "presenceSubscriptionMemberships",
                "_links": {"self": {"href": at}},
                "_embedded": {"presenceSubscriptionMembership": embedded},
            }
        )

    def _checked_uris(self, app: App, uris: Any) -> Response | None:
        if (
            not isinstance(uris, list)
            or not uris
            or not all(re.fullmatch(r"sip:[^\s@]+@[^\s@]+", each) for each in uris)
        ):
            self.wrong.append(f"addresses: {uris}")
            return trouble(400, "BadRequest", "ParameterValidationFailure")
        if any(each.removeprefix("sip:") in self.unfit for each in uris):
            return trouble(400, "BadRequest", "ParameterValidationFailure")
        if sum(map(len, app.subscriptions.values())) + len(uris) > self.limit:
            return trouble(403, "Forbidden", "LimitExceeded")
        return None

    def _join(self, app: App, name: str, uris: list[str]) -> None:
        for uri in uris:
            bare = uri.removeprefix("sip:")
            app.subscriptions[name].add(bare)
            if bare.lower() in self.presence and self.speaks_first:
                people = f"{app.path}/people"
                contact = {"rel": "contact", "href": f"{people}/{bare.lower()}"}
                listed = {"rel": "subscribedContacts", "href": f"{people}/subscribedContacts"}
                self._push(app, {"link": contact, "in": listed, "type": "added"}, self._presence_event(app, bare))

    def _subscription(self, app: App, name: str) -> dict[str, Any]:
        of_members = f"{app.path}/people/presenceSubscriptionMemberships?presenceSubscriptionId={name}"
        return {
            "id": name,
            "_links": {
                "self": {"href": f"{app.path}/people/presenceSubscriptions/{name}"},
                "memberships": {"href": of_members},
                "addToPresenceSubscription": {"href": of_members},
            },
            "rel": "presenceSubscription",
        }

    def _presence_event(self, app: App, user: str) -> dict[str, Any]:
        contact = f"{app.path}/people/{user.lower()}"
        return {
            "link": {"rel": "contactPresence", "href": f"{contact}/presence"},
            "in": {"rel": "contact", "href": contact},
            "type": "updated",
        }

    # The event channel

    def _push(self, app: App, *events: dict[str, Any]) -> None:
        app.queue.extend(events)
        app.more.set()

    async def events(self, app: App, request: Request) -> Response:
        asked = {name: int(each) for name, each in request.query_params.items()}
        for name, least in (("low", 5), ("medium", 5), ("timeout", 180)):
            if not least <= asked.get(name, least) <= 1800:
                self.wrong.append(f"events: {name}={asked[name]}")
        app.polls += 1
        mine, ack = app.polls, asked.get("ack")
        at = f"{app.path}/events?ack="
        if ack == app.ack - 1 and app.last is not None:
            return answer(app.last)  # the answer was lost on the way
        if ack != app.ack:
            self.wrong.append(f"events: ack={ack} and not {app.ack}")
            return answer({"_links": {"resync": {"href": f"{at}{app.ack}"}}})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.hold_s):
                while not app.queue:
                    app.more.clear()
                    await app.more.wait()
                    if app.polls != mine:
                        return trouble(409, "Conflict", "PGetReplaced")
        if app.number not in self.applications:
            return trouble(404, "NotFound", "ApplicationNotFound")
        links = {"self": {"href": f"{at}{app.ack}"}, "next": {"href": f"{at}{app.ack + 1}"}}
        sender = {"rel": "people", "href": f"{app.path}/people", "events": app.queue}
        app.last = {"_links": links, "sender": [sender]} if app.queue else {"_links": links}
        app.queue, app.ack = [], app.ack + 1
        return answer(app.last)

    def clean_up(self) -> None:
        """The client was away for long: subscriptions are gone, and the next answer has `resume`."""
        app = self.app
        app.subscriptions.clear()
        href = f"{app.path}/events?ack={app.ack + 1}"
        self.fault(rf"GET {app.path}/events", answer({"_links": {"resume": {"href": href}}}))
        app.ack += 1
        app.last = None
        app.queue.clear()


def application_resource(path: str, user: str) -> dict[str, Any]:
    """The answer to the making of an application, with the links that the page has."""
    people = f"{path}/people"
    return {
        "culture": "en-US",
        "userAgent": "presence-suite agent",
        "_links": {
            "self": {"href": path},
            "policies": {"href": f"{path}/policies"},
            "batch": {"href": f"{path}/batch"},
            "events": {"href": f"{path}/events?ack=1"},
        },
        "_embedded": {
            "me": {
                "name": "Lene Aaling",
                "uri": f"sip:{user}",
                "_links": {"self": {"href": f"{path}/me"}, "makeMeAvailable": {"href": f"{path}/me/makeMeAvailable"}},
                "rel": "me",
            },
            "people": {
                "_links": {
                    "self": {"href": people},
                    "presenceSubscriptions": {"href": f"{people}/presenceSubscriptions"},
                    "subscribedContacts": {"href": f"{people}/subscribedContacts"},
                    "presenceSubscriptionMemberships": {"href": f"{people}/presenceSubscriptionMemberships"},
                    "search": {"href": f"{people}/search"},
                },
                "rel": "people",
            },
        },
        "rel": "application",
    }


def _played(fault: Response | Fault) -> Fault:
    if not isinstance(fault, Response):
        return fault

    async def play(_: Request) -> Response:
        return fault

    return play


# What is served where


async def _root(lync: Lync, _: Request) -> Response:
    service = f"{lync.web}{AUTODISCOVER}"
    links = {
        "self": f"{service}?originalDomain=contoso.example",
        "user": f"{service}/oauth/user?originalDomain=contoso.example",
    }
    frame = {"xframe": f"{lync.web}/Autodiscover/XFrame/XFrame.html"}
    return answer({"_links": {rel: {"href": href} for rel, href in (links | frame).items()}})


async def _user(lync: Lync, request: Request) -> Response:
    if not lync.is_known(request):
        return lync.challenged(request)
    links = {"self": str(request.url), "applications": f"{lync.web}/ucwa/oauth/v1/applications"}
    return answer({"_links": {rel: {"href": href} for rel, href in links.items()}})


async def _token(lync: Lync, request: Request) -> Response:
    return await lync.token(request)


async def _applications(lync: Lync, request: Request) -> Response:
    if not lync.is_known(request):
        return lync.challenged(request)
    return lync.make_application(await request.json())


async def _within(lync: Lync, request: Request) -> Response:
    """Everything below an application."""
    if not lync.is_known(request):
        return lync.challenged(request)
    app, rest = lync.applications.get(int(request.path_params["number"])), request.path_params["rest"]
    if app is None:
        return trouble(404, "NotFound", "ApplicationNotFound")
    method = request.method
    if (method, rest) == ("GET", "events"):
        return await lync.events(app, request)
    if (method, rest) == ("POST", "people/presenceSubscriptions"):
        return lync.subscribe(app, await request.json())
    if (method, rest) == ("POST", "people/presenceSubscriptionMemberships"):
        return lync.add(app, request.query_params.get("presenceSubscriptionId", ""), await request.json())
    if (method, rest) == ("GET", "people/presenceSubscriptionMemberships"):
        return lync.members(app, request.query_params.get("presenceSubscriptionId", ""))
    if rest.startswith("people/presenceSubscriptions/"):
        return _one_subscription(lync, app, rest.rpartition("/")[2], request)
    if method == "GET" and rest.startswith("people/"):
        return _person(lync, app, rest.removeprefix("people/"))
    lync.wrong.append(f"{method} {request.url.path} is not in the pages")
    return trouble(405, "MethodNotAllowed")


def _one_subscription(lync: Lync, app: App, name: str, request: Request) -> Response:
    if name not in app.subscriptions:
        return trouble(404, "NotFound", "ApplicationNotFound")  # as the page shows it
    if request.method == "DELETE":
        del app.subscriptions[name]
        return Response(status_code=204)
    if request.method != "POST" or not 10 <= int(request.query_params.get("duration", "0")) <= 30:
        lync.wrong.append(f"presenceSubscription: {request.method} {request.url.query}")
    lync.extended.append(name)
    return answer(lync._subscription(app, name))


def _person(lync: Lync, app: App, rest: str) -> Response:
    user, _, what = rest.partition("/")
    if user not in lync.presence or what not in ("", "presence"):
        return trouble(404, "NotFound", "ResourceNotFound")
    at = f"{app.path}/people/{user}"
    if not what:
        links = {
            "self": {"href": at},
            "contactPresence": {"href": f"{at}/presence"},
            "contactNote": {"href": f"{at}/note"},
        }
        return answer(
            {
                "uri": f"sip:{user}",
                "sourceNetwork": "SameEnterprise",
                "type": "User",
                "name": "N",
                "_links": links,
                "rel": "contact",
                "etag": "58253032",
            }
        )
    availability, activity = lync.presence[user]
    said = {"availability": availability, "deviceType": "Unknown", "lastActive": "/Date(1358827096000)/"}
    said |= {"activity": activity} if activity else {}
    return answer(said | {"_links": {"self": {"href": f"{at}/presence"}}, "rel": "contactPresence"})


async def _end(lync: Lync, request: Request) -> Response:
    if not lync.is_known(request):
        return lync.challenged(request)
    if (app := lync.applications.pop(int(request.path_params["number"]), None)) is not None:
        app.more.set()
    return Response(status_code=204)


def _served(lync: Lync) -> Starlette:
    def by(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            return await lync(request, handler)

        return serve

    def route(path: str, handler: Handler, *methods: str) -> Route:
        return Route(path, by(handler), methods=list(methods))

    return Starlette(
        routes=[
            route("/", _root, "GET"),
            route(f"{AUTODISCOVER}/oauth/user", _user, "GET"),
            route("/webticket/oauthtoken", _token, "POST"),
            route("/ucwa/oauth/v1/applications", _applications, "POST"),
            route("/ucwa/oauth/v1/applications/{number:int}", _end, "DELETE"),
            route("/ucwa/oauth/v1/applications/{number:int}/{rest:path}", _within, "GET", "POST", "DELETE"),
        ]
    )


@contextlib.asynccontextmanager
async def serving_lync(cert: trustme.LeafCert) -> AsyncIterator[Lync]:
    """A server on loopback. At the end nothing may be `wrong`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        lync = Lync(listener.getsockname()[1])
        config = uvicorn.Config(
            _served(lync), ssl_context_factory=lambda *_: context, lifespan="off", ws="none", log_config=None, access_log=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            yield lync
        finally:
            for listening in server.servers:
                listening.close()
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            running = list(server.server_state.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    assert lync.wrong == [], json.dumps(lync.wrong, indent=1)


async def polled(lync: Lync) -> None:
    """Wait until an application asks its event channel."""
    await eventually(lambda: lync.applications and lync.app.polls)
