"""Messages by the grammar of SIP and a little beyond it, the same for the same seed: for a listener that must survive all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

_METHODS: Final = ("SUBSCRIBE", "NOTIFY", "PUBLISH", "OPTIONS", "INVITE", "ACK", "CANCEL", "REGISTER", "x")
_URIS: Final = (
    "sip:ada@teams.example", "sips:ada@teams.example:5061;transport=tls", "tel:+49-89-1;ext=5", "sip:[::1]:99999", "sip:a;self=1@b",
    "sip:%00@x", "sip:", "mailto:x@y", "sip:ada@teams.example?Subject=x", "sip:" + "a" * 3000, "sip:ad\u00e4@x", "*",
)  # fmt: skip
_TAGS: Final = ("", ";tag=a", ";tag=", ";tag=\"x;y\"", ";TAG=b;tag=c", ";x=" + "y" * 300, ";self", ";" * 50)  # fmt: skip
_NAMES: Final = ("", '"Ada, \\"x\\" <Countess>" ', "Ada ", '"', "\u00e4 ", '"' + "\\" * 99)
_EVENTS: Final = ("presence", "presence;id=1", "PRESENCE", "dialog", "", ";", "presence.winfo", "x" * 500)
_NUMBERS: Final = ("0", "1", "60", "3600", "-1", "4294967296", "9" * 400, "", "1.5", "\u0661", "60;x", "60 (a (b) c)")
_STATES: Final = (
    "active;expires=60",
    "terminated;reason=timeout",
    "pending",
    "",
    "active;expires=" + "9" * 50,
    ";",
    "terminated;retry-after=x",
)
_VIAS: Final = ("SIP/2.0/UDP 127.0.0.1:9", "SIP / 2.0 / TCP  h", "SIP/2.0/UDP [::1]:9", "SIP/3.0/UDP h", "SIP/2.0/UDP h:99999", "", "SIP/2.0/UDP")  # fmt: skip
_BODIES: Final = (
    b"", b"<presence/>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"<a>" * 500, b"\x00\xff" * 50, b"--x\r\n\r\n--x--",
    b'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@b"/>',
)  # fmt: skip
_TYPES: Final = ("application/pidf+xml", "multipart/related;boundary=x", "text/plain;charset=\"", "", "application/pidf+xml;" * 40)  # fmt: skip
_AUTHORIZATIONS: Final = (
    'Digest username="a", realm="teams", nonce="1.0.a", uri="sip:a@b", response="x", qop=auth, nc=00000001, cnonce="c"',
    'Digest username="a', "Basic eDp5", "Digest " + 'a="b",' * 300, "Digest nc=zz", "",
)  # fmt: skip
_CHALLENGES: Final = (
    'Digest realm="r", nonce="n"', 'Digest realm="r", nonce="n2", qop="auth,auth-int", algorithm=SHA-256', 'Digest realm="r", qop=auth',
    'Digest realm="r,\\"x", nonce="n3", qop="auth-int", opaque=""', 'Digest realm="r", nonce="n", algorithm=MD5-sess', "Basic realm=x",
    'Digest realm="r", nonce="n4", stale=TRUE', 'Digest nonce="' + "n" * 3000 + '", realm=""', 'Digest realm="r', "",
)  # fmt: skip
_SPLICES: Final = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b"\r\n ",
    b"\r\n\r\n",
    b":",
    b";",
    b",",
    b'"',
    b"<",
    b">",
    b"\xff",
    b"%",
    b"\\",
    b"SIP/2.0 ",
    b"\x7f",
)


class Grammar:
    """Makes messages."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0

    def message(self) -> bytes:
        """Return a message, mostly right, or with a few bytes changed."""
        made = self._written(*self._made())
        return self.damaged(made) if self._random.random() < 0.4 else made

    def stream(self, messages: int) -> list[bytes]:
        """Return the pieces of a stream of messages and keep-alives, cut anywhere."""
        whole = b"".join(self.message() + self._one((b"", b"", b"\r\n", b"\r\n\r\n")) for _ in range(messages))
        cuts = sorted(self._random.randrange(len(whole) + 1) for _ in range(self._random.randrange(8)))
        return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    def _one(self, values: Sequence[bytes]) -> bytes:
        return self._random.choice(values)

    def _word(self, values: Sequence[str], usual: float = 0.7) -> str:
        """The first one mostly."""
        return values[0] if self._random.random() < usual else self._random.choice(values)

    def _made(self) -> tuple[str, list[tuple[str, str]], bytes]:
        self._number += 1
        method = self._word(_METHODS, 0.4)
        response = self._random.random() < 0.2
        status = self._random.choice((100, 200, 401, 407, 423, 481, 503, 699))
        first = f"SIP/2.0 {status} Why" if response else f"{method} {self._word(_URIS)} SIP/2.0"
        branch = f";branch=z9hG4bK{self._number if self._random.random() < 0.8 else 1}"
        body = self._one(_BODIES)
        fields = [
            ("Via", self._word(_VIAS) + branch + self._word((";rport", "", ";rport=x", ";received=y;rport"))),
            ("From", f"{self._word(_NAMES)}<{self._word(_URIS)}>{self._word((';tag=f', *_TAGS))}"),
            ("To", f"{self._word(_NAMES)}<{self._word(_URIS)}>{self._word(_TAGS)}"),
            ("Call-ID", self._word((f"c{self._number}", "same", "", "x" * 900))),
            ("CSeq", f"{self._word(('1', *_NUMBERS))} {method}"),
            ("Contact", f"<{self._word(_URIS)}>"),
            ("Event", self._word(_EVENTS)),
            ("Expires", self._word(("3600", *_NUMBERS))),
            ("Subscription-State", self._word(_STATES)),
            ("Content-Type", self._word(_TYPES)),
            ("Authorization", self._word(("", *_AUTHORIZATIONS))),
            ("Record-Route", self._word(("", "<sip:p;lr>", "<sip:p;lr>, <sip:q", ","))),
            ("SIP-If-Match", self._word(("", "x"))),
            ("Require", self._word(("", "eventlist", "x,y", "," * 60), 0.9)),
            ("Accept", self._word(("application/pidf+xml", "", "*/*;q=0.5, x", '"'))),
        ]
        kept = [each for each in fields if each[1] or self._random.random() < 0.1]
        if self._random.random() < 0.1:
            self._random.shuffle(kept)
        if self._random.random() < 0.1 and kept:
            kept.append(self._random.choice(kept))
        length = str(len(body)) if self._random.random() < 0.95 else self._word(_NUMBERS, 0.0)
        return first, [*kept, (self._word(("Content-Length", "l", "CONTENT-LENGTH ")), length)], body

    def _written(self, first: str, fields: list[tuple[str, str]], body: bytes) -> bytes:
        end = self._word(("\r\n", "\n"), 0.95)
        lines = [first, *(f"{name}:{self._word((' ', '', '  ', f'{end} '), 0.9)}{value}" for name, value in fields)]
        return (end.join(lines) + end + end).encode() + body

    def often_damaged(self, data: bytes) -> bytes:
        """Return a message that is right, or with a few bytes changed."""
        return self.damaged(data) if self._random.random() < 0.6 else data

    def body(self) -> tuple[str, bytes]:
        """Return a type and a body."""
        return self._word(_TYPES), self._one(_BODIES)

    def challenges(self) -> list[str]:
        """Return values of WWW-Authenticate."""
        return [self._word(_CHALLENGES, 0.0) for _ in range(self._random.randrange(3))]

    def state(self) -> str:
        """Return a value of Subscription-State."""
        return self._word(_STATES)

    def status(self) -> int:
        """Return the status of a response."""
        return self._random.choice((200, 200, 200, 202, 100, 302, 401, 407, 420, 423, 481, 489, 500, 503, 699))

    def damaged(self, data: bytes) -> bytes:
        """Return a message with a few bytes changed."""
        for _ in range(self._random.randrange(1, 4)):
            at = self._random.randrange(len(data) + 1)
            match self._random.randrange(4):
                case 0:
                    data = data[:at] + self._one(_SPLICES) * self._random.choice((1, 1, 1, 100)) + data[at:]
                case 1:
                    data = data[:at] + data[at + self._random.randrange(1, 30) :]
                case 2:
                    data = data[:at] + data[max(0, at - 40) : at] * self._random.choice((1, 2, 50)) + data[at:]
                case _:
                    data = data[:at] + self._random.randbytes(self._random.randrange(1, 5)) + data[at + 2 :]
        return data
