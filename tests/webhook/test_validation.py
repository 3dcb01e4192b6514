"""Validation tokens: which prove that a POST is Microsoft's."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from emulator import Cloud
from emulator.demo import CLIENT_ID
from relay.errors import SourceUnreachable
from relay.graph.auth.jwt import NotValid
from relay.graph.auth.signing_keys import FetchIntervals, SigningKeys
from relay.graph.client import GraphClient
from relay.graph.push.validation import Validation
from tests.support.valkey import free_port
from tests.webhook import graph
from tests.webhook.conftest import CONTOSO, FABRIKAM, public
from tests.webhook.entra import Entra, entra

PATIENT = FetchIntervals(wait_s=20)
"""A busy machine is not what most of these tests are about."""
FOREIGN = RSAKey.generate_key(2048, {"kid": "foreign"})


@asynccontextmanager
async def validating(
    cloud: Cloud, pace: FetchIntervals | None = None, **changes: object
) -> AsyncIterator[tuple[Validation, SigningKeys]]:
    async with GraphClient(public(cloud, **changes)) as client, SigningKeys(client, pace or PATIENT) as keys:
        yield Validation(keys, CLIENT_ID), keys


@asynccontextmanager
async def validating_at(
    cloud: Cloud, here: Entra, pace: FetchIntervals | None = None
) -> AsyncIterator[tuple[Validation, SigningKeys]]:
    async with validating(cloud, pace, authority_url=here.url, ca_pem=here.ca) as found:
        yield found


async def reason_of(validation: Validation, *tokens: str) -> str:
    with pytest.raises(NotValid) as caught:
        await validation.tenants(tokens)
    return caught.value.reason


async def test_both_forms_of_tokens_vouch_for_their_tenants(cloud: Cloud):
    async with validating(cloud) as (validation, keys):
        tokens = [graph.token(cloud, CONTOSO, "1.0"), graph.token(cloud, FABRIKAM, "2.0")]
        assert await validation.tenants([*tokens, *tokens]) == {CONTOSO, FABRIKAM}
        assert await validation.tenants([]) == frozenset()
        assert keys.fetches == 1


FORGERIES: dict[str, tuple[str, Callable[[Cloud], str]]] = {
    "no token": ("form", lambda _: "no token"),
    "empty": ("form", lambda _: ""),
    "html": ("form", lambda _: "<script>alert(1)</script>"),
    "three points": ("form", lambda _: ".."),
    "header is a list": ("form", lambda _: "WyJhbGciXQ.e30.e30"),
    "header is a text": ("form", lambda _: "ImFsZyI.e30.e30"),
    "endless": ("form", lambda cloud: graph.token(cloud, CONTOSO) + "x" * 40_000),
    "alg none": ("signer", lambda cloud: graph.unsigned(graph.claims(cloud, CONTOSO))),
    "alg none, known key": (
        "signature", lambda cloud: graph.unsigned(graph.claims(cloud, CONTOSO), kid=cloud.tokens.key.kid),
    ),
    "signed with the public key as a secret": (
        "signature",
        lambda cloud: jwt.encode(
            {"alg": "HS256", "kid": cloud.tokens.key.kid}, graph.claims(cloud, CONTOSO), OctKey.import_key("k" * 64)
        ),
    ),
    "unknown signer": ("signer", lambda cloud: jwt.encode(
        {"alg": "RS256", "kid": "foreign"}, graph.claims(cloud, CONTOSO), FOREIGN)),
    "another's signature under a known name": ("signature", lambda cloud: jwt.encode(
        {"alg": "RS256", "kid": cloud.tokens.key.kid}, graph.claims(cloud, CONTOSO), FOREIGN)),
    "flipped": ("signature", lambda cloud: _flipped(graph.token(cloud, CONTOSO))),
    "other audience": ("audience", lambda cloud: graph.token(cloud, CONTOSO, aud=FABRIKAM)),
    "several audiences": ("audience", lambda cloud: graph.token(cloud, CONTOSO, aud=[CLIENT_ID])),
    "other publisher": ("publisher", lambda cloud: graph.token(cloud, CONTOSO, appid=CLIENT_ID)),
    "other publisher, 2.0": ("publisher", lambda cloud: graph.token(cloud, CONTOSO, "2.0", azp=CLIENT_ID)),
    "no publisher": ("publisher", lambda cloud: graph.token(cloud, CONTOSO, appid=None)),
    "publisher beside another": (
        "publisher", lambda cloud: graph.token(cloud, CONTOSO, appid=CLIENT_ID, azp=graph.PUBLISHER),
    ),
    "other issuer": ("issuer", lambda cloud: graph.token(cloud, CONTOSO, iss="https://sts.windows.net.evil.example/")),
    "issuer of another tenant": (
        "issuer", lambda cloud: graph.token(cloud, CONTOSO, iss=f"https://sts.windows.net/{FABRIKAM}/"),
    ),
    "no tenant": ("issuer", lambda cloud: graph.token(cloud, CONTOSO, tid=None)),
    "over": ("time", lambda cloud: graph.token(cloud, CONTOSO, exp=int(time.time()) - 3600)),
    "not yet": ("time", lambda cloud: graph.token(cloud, CONTOSO, nbf=int(time.time()) + 3600)),
    "no end": ("time", lambda cloud: graph.token(cloud, CONTOSO, exp=None)),
    "end in words": ("time", lambda cloud: graph.token(cloud, CONTOSO, exp="tomorrow")),
}  # fmt: skip


def _flipped(token: str) -> str:
    head, payload, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[10] ^= 1
    return ".".join((head, payload, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()))


async def test_no_forgery_vouches_for_anybody_even_beside_a_genuine_token(cloud: Cloud):
    async with validating(cloud) as (validation, _):
        good = graph.token(cloud, FABRIKAM)
        for name, (reason, make) in FORGERIES.items():
            forged = make(cloud)
            assert (name, await reason_of(validation, forged)) == (name, reason)
            assert (name, await reason_of(validation, good, forged)) == (name, reason)


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_clocks_that_differ_by_ten_minutes_cost_nothing(cloud: Cloud, minutes: int):
    """A token that begins, or ended, as many minutes away from our time."""
    now = int(time.time()) + 60 * minutes
    times = {"nbf": now, "exp": now + 28_800} if minutes > 0 else {"nbf": now - 3600, "exp": now}
    async with validating(cloud) as (validation, _):
        assert await validation.tenants([graph.token(cloud, CONTOSO, **times)]) == {CONTOSO}


async def test_a_long_header_is_no_hindrance(cloud: Cloud):
    """Entra may put a certificate chain into it."""
    async with validating(cloud) as (validation, _):
        token = graph.signed(cloud, graph.claims(cloud, CONTOSO), nonce="x", x5c=["x" * 4000])
        assert await validation.tenants([token]) == {CONTOSO}


async def test_a_header_that_demands_something_unknown_is_refused(cloud: Cloud):
    async with validating(cloud) as (validation, _):
        token = graph.signed(cloud, graph.claims(cloud, CONTOSO), crit=["news"], news=1)
        assert await reason_of(validation, token) == "signature"


async def test_a_new_key_is_fetched_once_by_all_who_meet_it(cloud: Cloud):
    async with validating(cloud, FetchIntervals(unknown_again_s=0, wait_s=20)) as (validation, keys):
        await validation.tenants([graph.token(cloud, CONTOSO)])
        cloud.tokens.key.rotate()
        cloud.tokens.key.rotate()  # the next one was published already
        token = graph.token(cloud, CONTOSO)
        assert await asyncio.gather(*[validation.tenants([token]) for _ in range(20)]) == [{CONTOSO}] * 20
        assert keys.fetches == 2


async def test_unknown_keys_are_asked_for_once_a_minute_whoever_names_them(cloud: Cloud):
    async with validating(cloud) as (validation, keys):
        for number in range(20):
            forged = jwt.encode({"alg": "RS256", "kid": f"k{number}"}, graph.claims(cloud, CONTOSO), FOREIGN)
            assert await reason_of(validation, forged) == "signer"
        assert await validation.tenants([graph.token(cloud, CONTOSO)]) == {CONTOSO}
        assert keys.fetches == 1


async def test_an_entra_that_does_not_answer_leaves_it_open_who_signed(cloud: Cloud):
    async with validating(cloud, authority_url=f"https://127.0.0.1:{free_port()}") as (validation, keys):
        for _ in range(20):
            with pytest.raises(SourceUnreachable):
                await validation.tenants([graph.token(cloud, CONTOSO)])
        assert keys.fetches == 1


async def test_keys_that_are_known_are_not_waited_for(cloud: Cloud):
    """Neither while an unknown one is being asked for nor while Entra is away."""
    async with (
        entra() as here,
        validating_at(cloud, here, FetchIntervals(refresh_s=0, wait_s=60)) as (validation, keys),
    ):
        here.publish(cloud)
        good = graph.token(cloud, CONTOSO)
        await validation.tenants([good])
        here.answers.clear()
        forged = jwt.encode({"alg": "RS256", "kid": "foreign"}, graph.claims(cloud, CONTOSO), FOREIGN)
        waiting = asyncio.create_task(validation.tenants([forged]))
        for _ in range(5):
            assert await validation.tenants([good]) == {CONTOSO}
        assert keys.fetches == 2
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_keys_are_kept_while_entra_has_none(cloud: Cloud):
    async with (
        entra() as here,
        validating_at(cloud, here, FetchIntervals(refresh_s=0, failed_again_s=0)) as (validation, keys),
    ):
        here.publish(cloud)
        good = graph.token(cloud, CONTOSO)
        await validation.tenants([good])
        here.documents.clear()
        async with asyncio.timeout(20):
            while keys.fetches < 5:
                assert await validation.tenants([good]) == {CONTOSO}
                await asyncio.sleep(0)


async def test_a_key_for_personal_accounts_proves_nothing_about_an_organisation(cloud: Cloud):
    """Entra publishes both kinds in one document; a stolen one of the other kind was once enough elsewhere."""
    async with entra() as here, validating_at(cloud, here) as (validation, _):
        here.publish(cloud, issuer="9188040d-6c67-4c5b-b112-36a304b66dad")
        assert await reason_of(validation, graph.token(cloud, CONTOSO)) == "issuer"


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b"\xff", json.dumps({"issuer": "x", "jwks_uri": "https://evil.example/keys"}).encode()],
)
async def test_key_documents_that_are_none_prove_nothing(cloud: Cloud, document: bytes):
    async with entra() as here, validating_at(cloud, here) as (validation, _):
        here.publish(cloud)
        for path in list(here.documents):
            if "openid" in path:
                here.documents[path] = document
        with pytest.raises(SourceUnreachable):
            await validation.tenants([graph.token(cloud, CONTOSO)])


@pytest.mark.parametrize("document", [b"{}", b'{"keys": []}', b'{"keys": [{"kty": "EC"}, {"kty": "RSA", "n": 1}]}'])
async def test_key_documents_without_a_key_prove_nothing(cloud: Cloud, document: bytes):
    async with entra() as here, validating_at(cloud, here) as (validation, _):
        here.publish(cloud)
        here.documents["/common/discovery/keys"] = document
        with pytest.raises(SourceUnreachable):
            await validation.tenants([graph.token(cloud, CONTOSO)])
