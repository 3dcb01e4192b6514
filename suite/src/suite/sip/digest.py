"""Digest authentication (RFC 7616, RFC 8760): challenges, credentials, and the computation of responses.

MD5 and SHA-256, `qop` auth, auth-int and none. `challenges.py` decides when a request is sent again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from suite.sip.errors import MalformedMessage
from suite.sip.headers import quoted, split_outside, unquoted

HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_QOPS: Final = ("auth", "auth-int")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user name (Auth ID) and its password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r}, password='***')"


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """The hashes of user name, realm and password, by algorithm: HA1 of RFC 7616. They are as secret as the password itself."""

    hashes: Mapping[str, str]

    def __repr__(self) -> str:
        return "HashedPassword(***)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A server's challenge."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    """As offered, in lower case; empty for a challenge without `qop`."""
    opaque: str | None = None
    stale: bool = False

    @property
    def is_known(self) -> bool:
        """Return whether its algorithm and `qop` are supported."""
        return self.algorithm in HASHES and (not self.qop or any(each in _QOPS for each in self.qop))

    @property
    def chosen_qop(self) -> str | None:
        """Return the `qop` to use, auth before auth-int; None without any."""
        return next((each for each in _QOPS if each in self.qop), None)

    def written(self) -> str:
        """Return the value of WWW-Authenticate or Proxy-Authenticate."""
        parts = [f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}", f"algorithm={self.algorithm}"]
        parts += [f"qop={quoted(','.join(self.qop))}"] if self.qop else []
        parts += [f"opaque={quoted(self.opaque)}"] if self.opaque is not None else []
        parts += ["stale=true"] if self.stale else []
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestAnswer:
    """The answer to a challenge, in Authorization or Proxy-Authorization."""

    user: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    cnonce: str = ""
    count: int = 0
    """The nonce count `nc`."""
    opaque: str | None = None

    def written(self) -> str:
        """Return the value of Authorization or Proxy-Authorization."""
        parts = [f"username={quoted(self.user)}", f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}"]
        parts += [f"uri={quoted(self.uri)}", f"response={quoted(self.response)}", f"algorithm={self.algorithm}"]
        if self.qop is not None:
            parts += [f"qop={self.qop}", f"nc={self.count:08x}", f"cnonce={quoted(self.cnonce)}"]
        parts += [f"opaque={quoted(self.opaque)}"] if self.opaque is not None else []
        return "Digest " + ", ".join(parts)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Parse the values of WWW-Authenticate or Proxy-Authenticate, one challenge each. Values that are not digest challenges are skipped."""
    found: list[Challenge] = []
    for value in values:
        said = _fields(value)
        if said is None or "realm" not in said or "nonce" not in said:
            continue
        qop = tuple(each.strip().lower() for each in said.get("qop", "").split(",") if each.strip())
        found.append(
            Challenge(
                realm=said["realm"],
                nonce=said["nonce"],
                algorithm=said.get("algorithm", "MD5").upper(),
                qop=qop,
                opaque=said.get("opaque"),
                stale=said.get("stale", "").lower() == "true",
            )
        )
    return found


def parse_answer(value: str) -> DigestAnswer:
    """Parse the value of Authorization or Proxy-Authorization.

    Raises:
        MalformedMessage: it is not an answer to a digest challenge.
    """
    said = _fields(value)
    count = (said or {}).get("nc", "0")
    if said is None or {"username", "realm", "nonce", "uri", "response"} - said.keys() or not _HEX.fullmatch(count[:9]):
        raise MalformedMessage("Authorization is not valid.")
    return DigestAnswer(
        user=said["username"],
        realm=said["realm"],
        nonce=said["nonce"],
        uri=said["uri"],
        response=said["response"].lower(),
        algorithm=said.get("algorithm", "MD5").upper(),
        qop=said["qop"].lower() if "qop" in said else None,
        cnonce=said.get("cnonce", ""),
        count=int(count[:9], 16),
        opaque=said.get("opaque"),
    )


def _fields(value: str) -> dict[str, str] | None:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    found: dict[str, str] = {}
    for each in split_outside(rest, ","):
        name, equals, said = each.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), unquoted(said))
    return found


def answered(
    challenge: Challenge, login: Login, *, method: str, uri: str, body: bytes, cnonce: str, count: int
) -> DigestAnswer:
    """Return the answer to a challenge whose `is_known` is true."""
    qop = challenge.chosen_qop
    answer = DigestAnswer(
        user=login.user,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        qop=qop,
        cnonce=cnonce if qop else "",
        count=count if qop else 0,
        opaque=challenge.opaque,
    )
    response = expected_response(answer, login.password, method=method, body=body)
    return replace(answer, response=response)


def expected_response(answer: DigestAnswer, password: str | HashedPassword, *, method: str, body: bytes = b"") -> str:
    """Compute the response from the other fields of an answer (RFC 7616 3.4.1).

    Raises:
        KeyError: there is no hash for the answer's algorithm.
    """
    algorithm = HASHES[answer.algorithm]

    def hashed(*parts: str) -> str:
        return algorithm(":".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    if isinstance(password, HashedPassword):
        secret = password.hashes[answer.algorithm]
    else:
        secret = hashed(answer.user, answer.realm, password)
    if answer.qop == "auth-int":
        request = hashed(method, answer.uri, algorithm(body).hexdigest())
    else:
        request = hashed(method, answer.uri)
    if answer.qop is None:
        return hashed(secret, answer.nonce, request)
    return hashed(secret, answer.nonce, f"{answer.count:08x}", answer.cnonce, answer.qop, request)
