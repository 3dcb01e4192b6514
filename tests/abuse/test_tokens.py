"""Forged tokens: none is accepted, each is refused with the relay's own error, and refusing is cheap."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from emulator import Cloud, Config, Emulator
from emulator.entra.keys import _personal
from relay.graph.auth import jwt
from relay.graph.auth.signing_keys import FetchIntervals
from tests.abuse.forged_tokens import OTHER, TENANT, Verifier, deep, encoded, verifying
from tests.webhook.conftest import public
from tests.webhook.entra import entra

NEVER = int(time.time()) - 86_400
SOON = int(time.time()) + 86_400


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Emulator.start(Config()) as running:
        yield running


@pytest.fixture(params=["id token", "validation token"])
async def verifier(request: pytest.FixtureRequest, cloud: Cloud) -> AsyncIterator[Verifier]:
    began = time.monotonic()
    async with verifying(request.param, cloud) as running:
        yield running
        assert await running.accepts(running.genuine()) == TENANT, "a genuine one is taken after all that"
        assert running.keys.fetches <= 1 + (time.monotonic() - began) / FetchIntervals().unknown_again_s


@pytest.mark.finding(14)
async def test_the_key_of_another_tenant_vouches_for_no_id_token(cloud: Cloud) -> None:
    """Entra's documents have keys that sign for one tenant only, and say so with each of them."""
    async with (
        entra() as here,
        verifying("id token", cloud, public(cloud, authority_url=here.url, ca_pem=here.ca)) as found,
    ):
        here.publish(cloud, issuer=OTHER)
        assert await found.accepts(found.genuine()) is None
    assert found.reasons == ["issuer"]


@pytest.mark.finding(14)
async def test_the_key_of_personal_accounts_vouches_for_no_organisation(verifier: Verifier) -> None:
    assert await verifier.accepts(_personal().sign(dict(verifier.claims), {})) is None
    assert verifier.reasons == ["issuer"]


HEADS: dict[str, Callable[[Verifier], str]] = {
    "no algorithm": lambda v: v.with_head({"alg": "none", "kid": v.kid}, b""),
    "no algorithm, in other letters": lambda v: v.with_head({"alg": "NoNe", "kid": v.kid}, b""),
    "no algorithm and no signature": lambda v: v.with_head({"alg": "none", "kid": v.kid}, b"").rstrip("."),
    "the public key as a secret": lambda v: _hs256(v),
    "a stronger algorithm": lambda v: v.with_head({"alg": "PS512", "kid": v.kid}),
    "the algorithm is a list": lambda v: v.with_head({"alg": ["RS256"], "kid": v.kid}),
    "the name of the key is a list": lambda v: v.with_head({"alg": "RS256", "kid": [v.kid]}),
    "a key of its own": lambda v: v.with_head({"alg": "RS256", "kid": "own", "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
    "an address for keys": lambda v: v.with_head({"alg": "RS256", "kid": "own", "jku": "https://evil.example/keys"}),
    "a path for a name": lambda v: v.with_head({"alg": "RS256", "kid": "../../../dev/null"}),
    "algorithms twice": lambda v: v.with_head(f'{{"alg":"RS256","alg":"none","kid":"{v.kid}"}}'.encode(), b""),
    "something critical": lambda v: v.signed(_payload(v), head=_head(v, crit=["b64"], b64=False)),
    "nested deep": lambda v: v.with_head(deep(5000)),
    "nested deep, as a member": lambda v: v.with_head(b'{"alg":"RS256","kid":' + deep(5000) + b"}"),
    "no text": lambda v: v.with_head(b"\xff\xfe"),
    "half a character": lambda v: v.with_head(b'{"alg":"RS256","kid":"\\ud800"}'),
    "nothing": lambda v: v.with_head(b"{}"),
    "a number": lambda v: v.with_head(b"7"),
    "a megabyte": lambda v: v.with_head({"alg": "RS256", "kid": v.kid, "x": "x" * 1_000_000}),
    "padded": lambda v: v.genuine() + "=",
    "a line end": lambda v: v.genuine() + "\n",
    "five parts": lambda v: v.genuine() + ".e30.e30",
    "half a character in the text": lambda v: v.genuine()[:-2] + "\ud800\ud800",
    "beyond ASCII": lambda v: "é" + v.genuine(),
    "another alphabet": lambda v: v.genuine().replace("_", "/").replace("-", "+") + "+",
}  # fmt: skip


def _hs256(verifier: Verifier) -> str:
    text = f"{encoded(json.dumps({'alg': 'HS256', 'kid': verifier.kid}).encode())}.{encoded(_payload(verifier))}"
    return f"{text}.{encoded(hmac.digest(verifier.public_pem, text.encode(), 'sha256'))}"


def _payload(verifier: Verifier) -> bytes:
    return json.dumps(dict(verifier.claims)).encode()


def _head(verifier: Verifier, **more: Any) -> bytes:
    return json.dumps({"alg": "RS256", "kid": verifier.kid, **more}).encode()


async def test_no_header_makes_a_forgery_genuine(verifier: Verifier) -> None:
    for name, make in HEADS.items():
        assert await verifier.accepts(make(verifier)) is None, name


CLAIMS: dict[str, dict[str, Any]] = {
    "the issuer of another tenant": {"iss": f"https://sts.windows.net/{OTHER}/"},
    "the tenant alone is another": {"tid": OTHER},
    "the issuer with a slash too many": {"iss": f"https://sts.windows.net/{TENANT}//"},
    "every issuer": {"iss": "https://sts.windows.net/{tenantid}/", "tid": "{tenantid}"},
    "the tenant is a path": {"tid": f"{TENANT}/../{OTHER}"},
    "the tenant is a list": {"tid": [TENANT]},
    "the tenant is a number": {"tid": 7},
    "the tenant with a line end": {"tid": f"{TENANT}\n"},
    "the tenant is half a character": {"tid": "\ud800"},
    "another audience": {"aud": OTHER},
    "several audiences": {"aud": [OTHER, "11111111-2222-4333-8444-555555555555"]},
    "the audience is an object": {"aud": {"a": 1}},
    "over": {"exp": NEVER},
    "over, as a text": {"exp": str(SOON)},
    "never over": {"exp": 10**400},
    "never over, almost": {"exp": 1e300},
    "over with a fraction": {"exp": NEVER + 0.5},
    "over is true": {"exp": True},
    "over is a list": {"exp": [SOON]},
    "over before time": {"exp": -1},
    "no end": {"exp": None},
    "not yet": {"nbf": SOON},
    "not yet, as a text": {"nbf": "0"},
    "not yet, for ever": {"nbf": 10**400},
}  # fmt: skip
RAW: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"tid"',
    "nested deep": deep(5000),
    "no text": b"\xff\xfe{}",
    "half": b'{"tid":"',
    "a number of thousands of digits": b'{"exp":' + b"9" * 10_000 + b"}",
    "sixteen thousand claims": b"{" + b",".join(b'"%d":0' % number for number in range(2500)) + b"}",
}


async def test_no_claim_counts_for_its_signature_alone(verifier: Verifier) -> None:
    for name, changes in CLAIMS.items():
        assert await verifier.accepts(verifier.genuine(**changes)) is None, name
    for name, payload in RAW.items():
        assert await verifier.accepts(verifier.signed(payload)) is None, name
    own = _payload(verifier)[:-1]
    for name, last in {
        "tenant": b',"tid":"%s"}' % OTHER.encode(),
        "end": b',"exp":1}',
        "endless": b',"exp":Infinity}',
        "no number": b',"exp":NaN}',
        "nested deep": b',"exp":' + deep(5000) + b"}",
    }.items():
        assert await verifier.accepts(verifier.signed(own + last)) is None, f"a second {name}"


async def test_a_flood_of_names_of_keys_fetches_nothing(verifier: Verifier) -> None:
    assert await verifier.accepts(verifier.genuine()) == TENANT
    for number in range(300):
        assert await verifier.accepts(verifier.with_head({"alg": "RS256", "kid": f"{number}" * 500})) is None
    assert set(verifier.reasons) == {"signer"}  # how often keys were fetched is looked at after each test


async def test_a_token_that_is_too_long_is_not_looked_at(verifier: Verifier) -> None:
    longest = jwt.MAX_CHARS
    for token in ("." * 10_000_000, verifier.genuine(x="x" * longest), verifier.signed(deep(longest))):
        assert await verifier.accepts(token) is None
    assert set(verifier.reasons) == {"form"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([10**400, "RS256", "none", "HS256", TENANT, OTHER, "{tenantid}", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
CHARS = st.sampled_from([*"ABCabc019-_.=+/ \n\0", "é", "\ud800", "..", "e30"])
STROKES = st.tuples(st.sampled_from(["put", "drop", "insert", "cut", "swap"]), st.floats(0, 1), CHARS)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc", "cty"]), JSON, max_size=5
)  # fmt: skip
CHECKED = st.dictionaries(st.sampled_from(["aud", "iss", "tid", "exp", "nbf"]), JSON, min_size=1)


@pytest.mark.long
@pytest.mark.finding(14)
@pytest.mark.parametrize("number", [30, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_no_mutation_of_a_genuine_token_is_accepted(verifier: Verifier, number: int) -> None:
    genuine = verifier.genuine()
    for strokes in drawn(st.lists(STROKES, min_size=1, max_size=4), number):
        token = genuine
        for stroke in strokes:
            token = changed(token, *stroke)
        if token != genuine:
            assert await verifier.accepts(token) is None, token
    for header in drawn(HEADERS, number):
        assert (
            await verifier.accepts(verifier.with_head({"alg": "RS256", "kid": verifier.kid, **header, "typ": 1}))
            is None
        )
    for claims in drawn(CHECKED, number):
        token = verifier.signed(json.dumps({**verifier.claims, **claims}).encode())
        is_right = all(may_be(verifier, name, value) for name, value in claims.items())
        assert (await verifier.accepts(token) is not None) == is_right, claims


def changed(token: str, what: str, where: float, char: str) -> str:
    """One stroke of a pen."""
    at = int(where * len(token))
    match what:
        case "put":
            return token[:at] + char + token[at + 1 :]
        case "drop":
            return token[:at] + token[at + 1 :]
        case "insert":
            return token[:at] + char + token[at:]
        case "cut":
            return token[:at]
        case _:
            parts = token.split(".")
            return ".".join([*parts[1:], parts[0]])


def may_be(verifier: Verifier, name: str, value: object) -> bool:
    """Whether a checked claim may have a value that was drawn."""
    if name not in ("exp", "nbf"):
        return value == verifier.claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 253_402_300_800:
        return False
    return value > time.time() if name == "exp" else value < time.time()


def drawn(strategy: SearchStrategy[Any], number: int) -> list[Any]:
    """Hypothesis draws first, because what is tried is asynchronous."""
    found: list[Any] = []

    @given(strategy)
    @settings(max_examples=number, database=None, suppress_health_check=list(HealthCheck))
    def collect(one: Any) -> None:
        found.append(one)

    collect()
    return found
