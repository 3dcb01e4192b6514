"""Dialogs of a phone: dialog-info (RFC 4235), full and partial, and the gaps between versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal
from xml.etree.ElementTree import Element

from suite.sip.documents import as_attribute, as_text, read_xml, split_name, text_of
from suite.sip.errors import BadDocument

CONTENT_TYPE: Final = "application/dialog-info+xml"
_NAMESPACE: Final = "urn:ietf:params:xml:ns:dialog-info"
_MOST_DIALOGS: Final = 500
"""Dialogs kept for one phone."""
_STATES: Final = frozenset({"trying", "proceeding", "early", "confirmed", "terminated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneDialog:
    """One call of a phone."""

    id: str
    state: str
    """`trying`, `proceeding`, `early`, `confirmed` or `terminated`."""
    direction: str = ""
    """`initiator`: the phone called; `recipient`: it was called; "" if the document does not say."""
    remote: str = ""
    """The other side's URI; "" if the document does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogInfo:
    """A dialog-info document."""

    entity: str
    version: int
    is_full: bool
    dialogs: tuple[PhoneDialog, ...] = ()


def read_dialog_info(body: bytes) -> DialogInfo:
    """Parse a document.

    Raises:
        BadDocument: it is not dialog-info, or exceeds a limit.
    """
    root = read_xml(body)
    version = root.get("version", "")
    if split_name(root.tag) != (_NAMESPACE, "dialog-info") or not (version.isascii() and version.isdigit()):
        raise BadDocument("The document is not dialog-info, or has no version.")
    if len(version) > 10:
        raise BadDocument("The version is too large.")
    return DialogInfo(
        entity=root.get("entity", ""),
        version=int(version),
        is_full=root.get("state", "full").lower() != "partial",
        dialogs=tuple(_dialog(each) for each in root.findall(f"{{{_NAMESPACE}}}dialog")),
    )


def _dialog(element: Element) -> PhoneDialog:
    state = text_of(element.find(f"{{{_NAMESPACE}}}state")).lower()
    if state not in _STATES:
        raise BadDocument("A dialog has no known state.")
    remote = element.find(f"{{{_NAMESPACE}}}remote")
    identity = text_of(remote.find(f"{{{_NAMESPACE}}}identity")) if remote is not None else ""
    target = remote.find(f"{{{_NAMESPACE}}}target") if remote is not None else None
    direction = element.get("direction", "").lower()
    return PhoneDialog(
        id=element.get("id", ""),
        state=state,
        direction=direction if direction in ("initiator", "recipient") else "",
        remote=identity or (target.get("uri", "") if target is not None else ""),
    )


@dataclass(slots=True)
class DialogsHeld:
    """A phone's dialogs, put together from all notifications of one subscription."""

    version: int | None = None
    dialogs: dict[str, PhoneDialog] = field(default_factory=dict)
    """Id -> dialog, without terminated ones."""

    def take(self, info: DialogInfo) -> Literal["taken", "outdated", "gap"]:
        """Take a document. After `gap` one was lost: refresh the subscription, and the server sends the full state.

        A full document is taken whatever its version is, because a server that restarts counts from the beginning.
        """
        if not info.is_full:
            if self.version is None or info.version > self.version + 1:
                return "gap"
            if info.version <= self.version:
                return "outdated"
        self.version = info.version
        held = {} if info.is_full else dict(self.dialogs)
        held.update({each.id: each for each in info.dialogs})
        alive = [each for each in held.values() if each.state != "terminated"]
        self.dialogs = {each.id: each for each in alive[-_MOST_DIALOGS:]}
        return "taken"


def write_dialog_info(info: DialogInfo) -> bytes:
    """Write a document, as phones and servers expect it."""
    dialogs = "".join(_written(each) for each in info.dialogs)
    state = "full" if info.is_full else "partial"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<dialog-info xmlns="{_NAMESPACE}" version="{info.version}" state="{state}" '
        f"entity={as_attribute(info.entity)}>\n{dialogs}</dialog-info>\n"
    ).encode()


def _written(dialog: PhoneDialog) -> str:
    direction = f" direction={as_attribute(dialog.direction)}" if dialog.direction else ""
    remote = f"<remote><identity>{as_text(dialog.remote)}</identity></remote>" if dialog.remote else ""
    return f"<dialog id={as_attribute(dialog.id)}{direction}><state>{as_text(dialog.state)}</state>{remote}</dialog>\n"
