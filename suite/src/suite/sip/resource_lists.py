"""Resource lists (RFC 4662): the states of many resources in one notification, as Kamailio and Asterisk send them.

Kamailio: the first notification is full and has no bodies; later ones have those that changed; `start` names the root.
Asterisk: every notification is full and has all bodies; no `start`, and the boundary is not quoted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.etree.ElementTree import Element

from suite.sip.documents import as_attribute, as_text, read_xml, split_name
from suite.sip.errors import BadDocument
from suite.sip.headers import parameters
from suite.sip.multipart import Part, read_multipart, write_related
from suite.sip.uris import resource_key

CONTENT_TYPE: Final = "application/rlmi+xml"
_NAMESPACE: Final = "urn:ietf:params:xml:ns:rlmi"
_MOST_RESOURCES: Final = 20_000
_NESTED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedResource:
    """One resource in one notification."""

    uri: str
    name: str = ""
    """The name that phones display; "" without one."""
    state: str = ""
    """`active`, `pending` or `terminated`; "" without an instance: the server has no state yet."""
    reason: str = ""
    content_type: str = ""
    body: bytes | None = None
    """None: nothing new, or its part is missing."""
    is_missing: bool = False
    """Whether the part that it names is missing. Then refresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNotification:
    """A notification of a list."""

    uri: str
    version: int
    is_full: bool
    resources: tuple[ListedResource, ...]


def read_list(content_type: str, body: bytes) -> ListNotification:
    """Parse the body of a notification of a list, with nested lists.

    Raises:
        BadDocument: it is not a list, or exceeds a limit.
    """
    return _read(content_type, body, _NESTED)


def _read(content_type: str, body: bytes, nested: int) -> ListNotification:
    if parameters(content_type)[0].lower() == CONTENT_TYPE:
        root, parts = body, list[Part]()
    else:
        start, parts = read_multipart(content_type, body)
        root = next((each.body for each in parts if start and each.content_id == start), parts[0].body)
    by_id = {each.content_id: each for each in parts if each.content_id}
    element = read_xml(root)
    version = element.get("version", "")
    if (
        split_name(element.tag) != (_NAMESPACE, "list")
        or not (version.isascii() and version.isdigit())
        or len(version) > 10
    ):
        raise BadDocument("The body is not a list, or has no version.")
    return ListNotification(
        uri=element.get("uri", ""),
        version=int(version),
        is_full=element.get("fullState", "").lower() in ("true", "1"),
        resources=tuple(itertools.islice(_resources(element, by_id, nested), _MOST_RESOURCES + 1)),
    )


def _resources(element: Element, by_id: dict[str, Part], nested: int) -> Iterator[ListedResource]:
    read = set[str]()
    for each in element.findall(f"{{{_NAMESPACE}}}resource"):
        instances = each.findall(f"{{{_NAMESPACE}}}instance")
        if not instances:
            yield ListedResource(uri=each.get("uri", ""))
        for instance in instances:
            cid = instance.get("cid", "").strip("<> ")
            # Each part is read once. A part may be a list, and reading it for each resource that names it would multiply the work.
            part = by_id.get(cid) if cid not in read else None
            named_again = cid in read
            read.add(cid)
            if part is not None and part.content_type.lower().startswith("multipart/"):
                if nested == 0:
                    raise BadDocument("Lists are nested too deeply.")
                yield from _read(part.content_type, part.body, nested - 1).resources
                continue
            yield ListedResource(
                uri=each.get("uri", ""),
                state=instance.get("state", "").lower(),
                reason=instance.get("reason", "").lower(),
                content_type=parameters(part.content_type)[0].lower() if part is not None else "",
                body=part.body if part is not None else None,
                is_missing=bool(cid) and part is None and not named_again,
            )


@dataclass(slots=True)
class ListHeld:
    """A list, put together from all notifications of one subscription."""

    version: int | None = None
    resources: dict[str, ListedResource] = field(default_factory=dict)
    """`uris.resource_key` -> the resource, with the last body received."""

    def take(self, notification: ListNotification) -> Literal["taken", "outdated", "gap"]:
        """Take a notification. After `gap` one was lost: refresh, and the server sends the full state."""
        if not notification.is_full:
            if self.version is None or notification.version > self.version + 1:
                return "gap"
            if notification.version <= self.version:
                return "outdated"
        self.version = notification.version
        held = {} if notification.is_full else dict(self.resources)
        for each in notification.resources:
            key = resource_key(each.uri)
            before = self.resources.get(key)
            if each.body is None and each.state == "active" and before is not None and before.body is not None:
                each = ListedResource(
                    uri=each.uri, state=each.state, content_type=before.content_type, body=before.body
                )
            held[key] = each
        if len(held) > _MOST_RESOURCES:
            raise BadDocument("The list has too many resources.")
        self.resources = held
        return "gap" if any(each.is_missing for each in notification.resources) else "taken"


def write_list(notification: ListNotification) -> tuple[str, bytes]:
    """Return the Content-Type line and the body of a notification of a list."""
    lines: list[str] = []
    parts: list[Part] = []
    for number, each in enumerate(notification.resources):
        cid = f"{number}.{notification.version}@list"
        has = each.body is not None
        named = f" cid={as_attribute(cid)}" if has else ""
        reason = f" reason={as_attribute(each.reason)}" if each.reason else ""
        instance = f'<instance id="1" state={as_attribute(each.state)}{reason}{named}/>' if each.state else ""
        name = f"<name>{as_text(each.name)}</name>" if each.name else ""
        lines.append(f"<resource uri={as_attribute(each.uri)}>{name}{instance}</resource>\n")
        if each.body is not None:
            parts.append(Part(content_id=cid, content_type=each.content_type, body=each.body))
    full = "true" if notification.is_full else "false"
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<list xmlns="{_NAMESPACE}" uri={as_attribute(notification.uri)} version="{notification.version}" fullState="{full}">\n'
        f"{''.join(lines)}</list>\n"
    ).encode()
    root = Part(
        content_id=f"root.{notification.version}@list", content_type=f'{CONTENT_TYPE};charset="UTF-8"', body=document
    )
    return write_related(root, parts)
