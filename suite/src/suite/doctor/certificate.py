"""Read the issuer, names and validity of a certificate.

Python returns the fields of trusted certificates only; the doctor also needs those of others. The values read here are shown
to users. They never decide about trust.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BYTES: Final = 64 * 1024
_MAX_NAMES: Final = 100
_UTC_TIME, _TIME, _BMP_STRING = 0x17, 0x18, 0x1E
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_SAN_DNS, _SAN_IP = 0x82, 0x87
_COMMON_NAME, _ORGANISATION, _UNIT = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x04\x0b"
_ALTERNATIVE_NAMES: Final = b"\x55\x1d\x11"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of a certificate for users.

    Attributes:
        issuer: common name, unit and organisation of the issuer, as far as present.
        names: the DNS names and addresses that it is for; the common name when it has none.
    """

    issuer: str
    subject: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    is_self_signed: bool


def read_certificate(der: bytes) -> Certificate:
    """Return the fields of a certificate in DER form.

    Raises:
        ValueError: it is not a certificate.
    """
    if len(der) > _MAX_BYTES:
        raise ValueError("too large for a certificate")
    (_, outer), *_ = _children(der)
    (_, signed), *_ = _children(outer)
    parts = list(_children(signed))
    if parts and parts[0][0] == _VERSION:
        parts.pop(0)
    _serial, _algorithm, (_, issuer), (_, validity), (_, subject), *others = parts
    (before_tag, before), (after_tag, after) = _children(validity)
    extensions = next((value for tag, value in others if tag == _EXTENSIONS), b"")
    names = tuple(_alternative_names(extensions))[:_MAX_NAMES]
    return Certificate(
        issuer=_shown(issuer),
        subject=_shown(subject),
        names=names or tuple(_attributes(subject).get(_COMMON_NAME, [])),
        not_before=_time(before_tag, before),
        not_after=_time(after_tag, after),
        is_self_signed=issuer == subject,
    )


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each element. Raises ValueError when the data ends within one."""
    at = 0
    while at < len(data):
        header = data[at : at + 2]
        if len(header) < 2:
            raise ValueError("cut off")
        tag, length = header
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            raise ValueError("cut off")
        yield tag, data[at : at + length]
        at += length


def _attributes(name: bytes) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for _, attributes in _children(name):
        for _, attribute in _children(attributes):
            (_, oid), (tag, value) = _children(attribute)
            found.setdefault(oid, []).append(value.decode("utf-16-be" if tag == _BMP_STRING else "utf-8", "replace"))
    return found


def _shown(name: bytes) -> str:
    attributes = _attributes(name)
    parts = [value for oid in (_COMMON_NAME, _UNIT, _ORGANISATION) for value in attributes.get(oid, [])]
    return ", ".join(dict.fromkeys(parts)) or "nobody"


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for _, listed in _children(extensions):
        for _, extension in _children(listed):
            (_, oid), *_, (_, value) = _children(extension)
            if oid != _ALTERNATIVE_NAMES:
                continue
            for _, names in _children(value):
                for tag, name in _children(names):
                    if tag == _SAN_DNS:
                        yield name.decode("utf-8", "replace")
                    elif tag == _SAN_IP:
                        yield str(ipaddress.ip_address(name))


def _time(tag: int, text: bytes) -> datetime:
    if tag not in {_UTC_TIME, _TIME}:
        raise ValueError("no time")
    digits = text.decode("ascii")
    if tag == _UTC_TIME:  # years 1950 to 2049 have two digits
        digits = ("19" if digits >= "50" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
