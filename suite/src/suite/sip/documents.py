"""XML parsing within limits (no DTD, no entities, bounded in bytes, depth and elements), and escaping for XML that we write."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from suite.sip.errors import BadDocument

DOCUMENT_BYTES: Final = 1024 * 1024
_DEPTH: Final = 32
_ELEMENTS: Final = 50_000
_NOT_OF_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Bounded(TreeBuilder):
    """Builds the tree; fails when it is too deep or has too many elements."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._left = _ELEMENTS

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        """Open an element."""
        self._depth += 1
        self._left -= 1
        if self._depth > _DEPTH or self._left < 0:
            raise BadDocument("The XML is nested too deeply, or has too many elements.")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        """Close an element."""
        self._depth -= 1
        return super().end(tag)


def read_xml(body: bytes) -> Element:
    """Parse a document, and return its root element.

    Raises:
        BadDocument: it is too big or too deep, has a DTD or entities, or is not XML.
    """
    if len(body) > DOCUMENT_BYTES:
        raise BadDocument("The document is too big.")
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True)
    try:
        parser.feed(body)
        root = parser.close()
    except DefusedXmlException:
        raise BadDocument("The XML has a DTD or entities.") from None
    except (ParseError, LookupError, ValueError):
        raise BadDocument("The document is not XML, or not in the charset that it declares.") from None
    assert isinstance(root, Element)
    return root


def split_name(tag: str) -> tuple[str, str]:
    """Return namespace and local name of an element; the namespace is "" without one."""
    namespace, brace, local = tag.rpartition("}")
    return namespace.removeprefix("{") if brace else "", local


def text_of(element: Element | None) -> str:
    """Return an element's own text, trimmed; "" without one."""
    return (element.text or "").strip() if element is not None else ""


def as_text(text: str) -> str:
    """Escape text for the content of an element. Characters that XML does not allow are removed."""
    return escape(_NOT_OF_XML.sub("", text))


def as_attribute(text: str) -> str:
    """Escape text for the value of an attribute, and quote it."""
    return quoteattr(_NOT_OF_XML.sub("", text))
