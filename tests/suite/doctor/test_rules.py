"""The rules as a table: what was seen, the hops that fail, the verdict. Nothing is connected to anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from suite.channel import Target
from suite.doctor.certificate import Certificate
from suite.doctor.rows import State
from suite.doctor.values import (
    Asked,
    Controls,
    Fault,
    Hop,
    Idled,
    Named,
    Observations,
    Proxied,
    Routed,
    Secured,
    Spoken,
    Try,
)  # fmt: skip
from suite.doctor.verdict import judge
from suite.explain import Ending
from suite.proxy import parse_proxy
from suite.values import Status
from tests.support.doctor import failed

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DIRECT = Target("relay.test", 443, None, None, None)
PROXIED = Target("relay.test", 443, None, None, parse_proxy("http://ada:geheim@proxy.test:3128"))
P = "proxy proxy.test:3128"


def certificate(**other: Any) -> Certificate:
    fields = {
        "issuer": "Good CA", "subject": "relay.test", "names": ("relay.test",), "not_before": NOW - 100 * DAY,
        "not_after": NOW + 100 * DAY, "is_self_signed": False,
    }  # fmt: skip
    return Certificate(**(fields | other))


def secured(about: Certificate | None = None, **other: Any) -> Secured:
    return Secured(
        **({"name": "relay.test", "version": "TLSv1.3", "alpn": "h2", "certificate": about or certificate()} | other)
    )


BEGUN = Asked("watch", has_begun=True, tenant=Status.NONE, began_after=timedelta(seconds=0.1))
SILENT = Asked("watch")
OPEN = Routed(443, (Try("10.0.0.1", Fault.NONE, 0.01),))
NAMED = Named("relay.test", ("10.0.0.1",))
WELL = {
    "named": NAMED, "routed": OPEN, "secured": secured(), "spoken": Spoken(has_settings=True, has_pong=True), "asked": (BEGUN,),
}  # fmt: skip
TUNNEL = {"proxied": Proxied("proxy.test:3128", has_login=True, status=200)}


def proxied(**answer: Any) -> dict[str, Any]:
    return {
        "named": NAMED,
        "routed": OPEN,
        "proxied": Proxied(**({"shown": "proxy.test:3128", "has_login": False} | answer)),
    }


def routed(*faults: Fault) -> dict[str, Any]:
    return {"named": NAMED, "routed": Routed(443, tuple(Try("10.0.0.1", fault, 1.0) for fault in faults))}


def until(**step: Any) -> dict[str, Any]:
    """All is well as far as this step, and nothing was tried after it."""
    order = list(WELL)
    return {**{name: WELL[name] for name in order[: order.index(next(iter(step)))]}, **step}


def refused(code: str, reason: str = "", **metadata: str) -> dict[str, Any]:
    return until(asked=(Asked("watch", ending=Ending(grpc.StatusCode[code], "words", reason, metadata)),))


def held(controls: Controls, *asked: Asked) -> dict[str, Any]:
    return {**WELL, "asked": asked, "controls": controls}


EXPIRED = certificate(not_after=NOW - DAY)
EARLY = certificate(not_before=NOW + DAY)
BY_US = certificate(issuer="Inspections Ltd")
OURSELVES = certificate(is_self_signed=True)
ALL_HELD = Controls(answers=True, sees_open_requests=False, sees_open_answers=False)
REQUESTS_HELD = Controls(answers=True, sees_open_requests=False, sees_open_answers=True)
NOTHING_HELD = Controls(answers=True, sees_open_requests=True, sees_open_answers=None)
NO_ANSWERS = Controls(
    answers=False, sees_open_requests=False, sees_open_answers=False, ending=Ending(grpc.StatusCode.DEADLINE_EXCEEDED)
)

CASES: list[tuple[str, Target, dict[str, Any], Hop | None, str]] = [
    ("all is well", DIRECT, WELL, None, "All is well: suites on this machine can use the relay at relay.test:443."),
    ("well by proxy", PROXIED, WELL | TUNNEL, None, "All is well: suites on this machine can use the relay at relay.test:443 through the proxy proxy.test:3128."),
    ("no such name", DIRECT, {"named": Named("relay.test", (), Fault.UNKNOWN_NAME)}, Hop.NAME, "The name relay.test cannot be found: check the address and this machine's DNS; if this network has a proxy, name it in HTTPS_PROXY or --proxy."),
    ("no such proxy", PROXIED, {"named": Named("proxy.test", (), Fault.UNKNOWN_NAME)}, Hop.NAME, "The proxy's name proxy.test cannot be found: check the address and this machine's DNS; correct HTTPS_PROXY or --proxy."),
    ("no name server", DIRECT, {"named": Named("relay.test", (), Fault.NO_NAME_SERVER)}, Hop.NAME, "No name server answered for relay.test: check this machine's network and DNS; if"),
    ("refused", DIRECT, routed(Fault.REFUSED), Hop.ROUTE, "Nothing listens at relay.test:443 (connection refused): check the address and the port."),
    ("proxy is down", PROXIED, routed(Fault.REFUSED), Hop.ROUTE, f"Nothing listens at the {P} (connection refused): start it, or correct HTTPS_PROXY or --proxy."),
    ("one refuses", DIRECT, routed(Fault.SILENT, Fault.REFUSED), Hop.ROUTE, "Nothing listens at relay.test:443"),
    ("firewall", DIRECT, routed(Fault.UNREACHABLE, Fault.SILENT), Hop.ROUTE, "relay.test:443 did not answer: have the firewall in between opened for it; if this network has a proxy,"),
    ("no route", PROXIED, routed(Fault.UNREACHABLE), Hop.ROUTE, f"There is no network route to the {P}: check this machine's network; correct"),
    ("login wanted", PROXIED, proxied(status=407), Hop.PROXY, f"The {P} requires a login (HTTP 407): write http://user:password@host:port in HTTPS_PROXY or --proxy."),
    ("wrong login", PROXIED, proxied(status=407, has_login=True, schemes=("Basic",)), Hop.PROXY, f"The {P} refuses the user name or the password (HTTP 407): correct them in HTTPS_PROXY or --proxy."),
    ("wrong login, 401", PROXIED, proxied(status=401, has_login=True), Hop.PROXY, f"The {P} refuses the user name or the password (HTTP 401)"),
    ("other logins", PROXIED, proxied(status=407, schemes=("Negotiate", "NTLM")), Hop.PROXY, f"The {P} requires a login by Negotiate, NTLM, which gRPC cannot do (HTTP 407): run a helper on this machine that can, such as px or cntlm,"),
    ("other and Basic", PROXIED, proxied(status=407, schemes=("NTLM", "basic")), Hop.PROXY, f"The {P} requires a login (HTTP 407)"),
    ("forbidden", PROXIED, proxied(status=403), Hop.PROXY, f"The {P} refuses to connect to relay.test:443 (HTTP 403): have CONNECT to it allowed."),
    ("bad gateway", PROXIED, proxied(status=502), Hop.PROXY, f"The {P} cannot reach relay.test:443 (HTTP 502): check the address"),
    ("proxy silent", PROXIED, proxied(fault=Fault.SILENT), Hop.PROXY, f"The {P} accepts the connection and does not answer"),
    ("proxy hangs up", PROXIED, proxied(fault=Fault.CLOSED), Hop.PROXY, f"The {P} closes the connection: ask its administrator whether this machine may use it."),
    ("no proxy", PROXIED, proxied(fault=Fault.GARBLED), Hop.PROXY, "No HTTP proxy answers at proxy.test:3128: correct HTTPS_PROXY or --proxy."),
    ("plain text", DIRECT, until(secured=secured(fault=Fault.GARBLED, words="WRONG_VERSION_NUMBER")), Hop.TLS, "relay.test:443 does not speak TLS: check the port; it is a plain-text one, or something else answers there."),
    ("TLS alert", DIRECT, until(secured=secured(fault=Fault.GARBLED, words="NO_SHARED_CIPHER")), Hop.TLS, "relay.test:443 refuses the TLS handshake (NO_SHARED_CIPHER)"),
    ("TLS silent", PROXIED, until(secured=secured(fault=Fault.SILENT)) | TUNNEL, Hop.TLS, f"relay.test:443 does not answer the TLS handshake through the {P}: check the port, and have"),
    ("TLS cut", DIRECT, until(secured=secured(fault=Fault.CLOSED)), Hop.TLS, "The connection to relay.test:443 is cut during the TLS handshake: have relay.test:443 allowed in the firewall"),
    ("inspected", PROXIED, until(secured=secured(BY_US, verify_code=20, has_ca=True)) | TUNNEL, Hop.CERTIFICATE, 'TLS to relay.test:443 is inspected in between, or the CA file is the wrong one, because the certificate is signed by "Inspections Ltd": have relay.test:443 exempted from the inspection, or give that CA'),
    ("private CA", DIRECT, until(secured=secured(OURSELVES, verify_code=18)), Hop.CERTIFICATE, "TLS to relay.test:443 is inspected in between, or the relay has a CA of its own, because the certificate is signed by itself"),
    ("system trusts", DIRECT, until(secured=secured(BY_US, verify_code=20, system_trusts=True)), Hop.CERTIFICATE, 'The certificate of relay.test:443 is signed by "Inspections Ltd", which this system trusts but gRPC does not: name the system\'s certificates with --ca-file'),
    ("other name", DIRECT, until(secured=secured(certificate(names=("a.test", "b.test")), verify_code=62)), Hop.CERTIFICATE, "The certificate of relay.test:443 is for a.test, b.test and not for relay.test: use a name that is in it, as the address or with --server-name."),
    ("expired", DIRECT, until(secured=secured(EXPIRED, verify_code=10)), Hop.CERTIFICATE, 'The certificate of relay.test:443, signed by "Good CA", has expired, on 2026-11-28 12:00 UTC: set this machine\'s clock if 2026-11-29 12:00 UTC is wrong, else have it renewed.'),
    ("too early", DIRECT, until(secured=secured(EARLY, verify_code=9)), Hop.CERTIFICATE, 'The certificate of relay.test:443, signed by "Good CA", is not valid before 2026-11-30 12:00 UTC: set this machine\'s clock if'),
    ("our clock", PROXIED, until(secured=secured(EARLY, verify_code=9)) | {"proxied": Proxied("proxy.test:3128", has_login=False, status=200, date=NOW + 2 * DAY)}, Hop.CLOCK, "This machine's clock is 2880 min behind the proxy's: set it, by NTP for example."),
    ("their certificate", PROXIED, until(secured=secured(EARLY, verify_code=9)) | {"proxied": Proxied("proxy.test:3128", has_login=False, status=200, date=NOW + 2 * timedelta(minutes=1))}, Hop.CERTIFICATE, "The certificate of relay.test:443"),
    ("untrusted", DIRECT, until(secured=secured(verify_code=26, verify_words="unsuitable purpose")), Hop.CERTIFICATE, 'The certificate of relay.test:443, signed by "Good CA", cannot be trusted (unsuitable purpose)'),
    ("no second look", PROXIED, until(secured=Secured("relay.test", verify_code=20, has_ca=True)) | TUNNEL, Hop.CERTIFICATE, "TLS to relay.test:443 is inspected in between, or the CA file is the wrong one, because the certificate is signed by an unknown CA"),
    ("inspects, no HTTP/2", PROXIED, until(secured=secured(BY_US, alpn="", has_ca=True)) | TUNNEL, Hop.HTTP2, f'The {P} inspects TLS (the certificate is signed by "Inspections Ltd") and does not pass HTTP/2: have relay.test:443 exempted from the inspection.'),
    ("the same, untrusted", PROXIED, until(secured=secured(BY_US, alpn="", verify_code=20)) | TUNNEL, Hop.HTTP2, f'The {P} inspects TLS (the certificate is signed by "Inspections Ltd") and does not pass HTTP/2'),
    ("web server", PROXIED, until(secured=secured(alpn="http/1.1")) | TUNNEL, Hop.HTTP2, "relay.test:443 speaks TLS but not HTTP/2: it is a web server or a balancer, and not the relay's gRPC port; check the address."),
    ("perhaps a web server", DIRECT, until(secured=secured(BY_US, alpn="", has_ca=True)), Hop.HTTP2, 'relay.test:443 does not speak HTTP/2, and its certificate is signed by "Inspections Ltd": check the address, or'),
    ("HTTP/2 in name only", DIRECT, until(spoken=Spoken(has_settings=True, has_pong=False, fault=Fault.SILENT)), Hop.HTTP2, "relay.test:443 chooses HTTP/2 and then does not speak it (no answer in time): check the address"),
    ("unknown key", DIRECT, refused("UNAUTHENTICATED", "ERROR_REASON_SUITE_KEY_UNKNOWN"), Hop.KEY, "The relay does not know this suite key. Copy the key again from the relay's onboarding page."),
    ("revoked key", DIRECT, refused("PERMISSION_DENIED", "ERROR_REASON_SUITE_KEY_REVOKED", key_id="1f2e"), Hop.KEY, "This suite key was revoked. Create a new one on the relay's onboarding page. (Key id 1f2e.)"),
    ("key, without a reason", DIRECT, refused("UNAUTHENTICATED"), Hop.KEY, "The relay refuses this suite key."),
    ("tenant left", DIRECT, refused("PERMISSION_DENIED", "ERROR_REASON_TENANT_REMOVED"), Hop.ORGANISATION, "The organisation has left the relay. An administrator must onboard it again."),
    ("store away", DIRECT, refused("UNAVAILABLE", "ERROR_REASON_STORE_UNAVAILABLE"), Hop.RELAY, "The relay cannot reach its store at the moment. Try again in a minute, and ask the relay's operator if it lasts."),
    ("another server", DIRECT, refused("UNIMPLEMENTED"), Hop.RELAY, "The server there is not a presence relay, or an older release of it. Check the address with the relay's operator."),
    ("consent ended", DIRECT, until(asked=(Asked("watch", has_begun=True, tenant=Status.CONSENT_REQUIRED),)), Hop.CONSENT, "The organisation's consent at Microsoft has ended or was not given: one of its administrators must renew it on the relay's page."),
    ("denied", DIRECT, until(asked=(Asked("watch", has_begun=True, tenant=Status.ACCESS_DENIED),)), Hop.CONSENT, "Microsoft does not let the relay read the organisation's presence: one of its administrators must permit it."),
    ("suspended", DIRECT, until(asked=(Asked("watch", has_begun=True, tenant=Status.SUSPENDED),)), Hop.ORGANISATION, "The relay's operator has suspended the organisation, or not approved it yet: ask the relay's operator."),
    ("stale", DIRECT, until(asked=(Asked("watch", has_begun=True, tenant=Status.STALE),)), None, "Suites on this machine can use the relay at relay.test:443, but presence may be old for the moment (not confirmed for a while, may be wrong): wait, and ask"),
    ("no status", DIRECT, until(asked=(Asked("watch", has_begun=True),)), None, "All is well"),
    ("all held", PROXIED, held(ALL_HELD, SILENT) | TUNNEL, Hop.STREAMS, f"The {P} holds back what is sent until all of it is there, so that a stream never begins: have relay.test:443 exempted from the inspection, or bodies passed on as they come."),
    ("requests held", PROXIED, held(REQUESTS_HELD, SILENT, Asked("stream", has_begun=True, tenant=Status.NONE)) | TUNNEL, Hop.STREAMS, f"The {P} holds requests back until they end: use the form `stream` (--form stream), or have relay.test:443 exempted from the inspection."),
    ("requests held, key refused", DIRECT, held(REQUESTS_HELD, SILENT, Asked("stream", ending=Ending(grpc.StatusCode.UNAUTHENTICATED, reason="ERROR_REASON_SUITE_KEY_UNKNOWN"))), Hop.STREAMS, "Something in between holds requests back until they end: use the form"),
    ("neither form begins", DIRECT, held(REQUESTS_HELD, SILENT, Asked("stream")), Hop.STREAMS, "Something in between holds back what is sent until all of it is there"),
    ("relay does not begin", DIRECT, held(NOTHING_HELD, SILENT), Hop.RELAY, "The relay at relay.test:443 takes the stream and does not begin it: try again in a minute, and ask its operator if it lasts."),
    ("relay silent", DIRECT, held(NO_ANSWERS, SILENT), Hop.RELAY, "relay.test:443 speaks HTTP/2 and does not answer calls: ask the relay's operator whether it runs."),
    ("gateway", DIRECT, held(Controls(answers=False, sees_open_requests=True, sees_open_answers=None, ending=Ending(grpc.StatusCode.UNAVAILABLE, "Received http2 header with status: 502")), SILENT), Hop.RELAY, "A gateway in front of the relay answered instead of it (HTTP 502). Try again in a minute, and ask the relay's operator if it lasts."),
    ("no key, well", DIRECT, held(NOTHING_HELD) | {"has_key": False}, None, "The connection to the relay at relay.test:443 works: try it with the suite key."),
    ("no key, held", DIRECT, held(ALL_HELD) | {"has_key": False}, Hop.STREAMS, "Something in between holds back"),
    ("idle", DIRECT, WELL | {"idled": Idled(90.0, 20.0)}, None, "All is well"),
    ("idle cut", PROXIED, WELL | TUNNEL | {"idled": Idled(6.0, 6.0, Fault.CLOSED)}, Hop.IDLE, f"The {P} cuts connections after 6 s of silence, and suites ping every 30 s: have its idle timeout set above 60 s."),
    ("idle forgotten", DIRECT, WELL | {"idled": Idled(40.0, 40.0, Fault.SILENT)}, Hop.IDLE, "Something in between forgets a connection that is silent, so that nothing arrives any more: have its idle timeout set above 60 s."),
    ("moved while idle", DIRECT, WELL | {"idled": Idled(40.0, 20.0, Fault.REFUSED)}, None, "All is well"),
    ("ends soon", DIRECT, WELL | {"secured": secured(certificate(not_after=NOW + 3 * DAY))}, None, 'Suites on this machine can use the relay at relay.test:443, but its certificate, signed by "Good CA", ends on 2026-12-02 12:00 UTC: have it renewed before.'),
    ("clock ahead", DIRECT, until(asked=(Asked("watch", has_begun=True, date=NOW - timedelta(minutes=5)),)), None, "Suites on this machine can use the relay at relay.test:443, but this machine's clock is 5 min ahead of the relay's: set it, by NTP for example."),
    ("clock behind", DIRECT, until(asked=(Asked("watch", has_begun=True, contact=NOW + timedelta(minutes=7)),)), None, "Suites on this machine can use the relay at relay.test:443, but this machine's clock is 7 min behind the relay's"),
    ("contact of old", DIRECT, until(asked=(Asked("watch", has_begun=True, contact=NOW - timedelta(minutes=7)),)), None, "All is well"),
    ("contact that moves", DIRECT, until(asked=(Asked("watch", has_begun=True, contact=NOW - timedelta(minutes=7), contact_moved=True),)), None, "Suites on this machine can use the relay at relay.test:443, but this machine's clock is 7 min ahead of the relay's"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "seen", "hop", "sentence"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_verdict(target, seen, hop, sentence):
    report = judge(Observations("relay.test:443", NOW, **seen), target)
    assert report.verdict.hop is hop
    assert report.verdict.sentence[: len(sentence)] == sentence
    assert (hop is None) == (failed(report) == [])
    assert [row.hop for row in report.rows] == list(Hop)
    assert "geheim" not in repr(report)


@pytest.mark.parametrize(("target", "seen"), [case[1:3] for case in CASES], ids=[case[0] for case in CASES])
def test_every_hop_that_fails_says_what_to_do_and_those_after_it_were_not_reached(target, seen):
    report = judge(Observations("relay.test:443", NOW, **seen), target)
    assert all(row.remedy.endswith((".", ")")) for row in report.rows if row.state in {State.FAILED, State.NOTE})
    assert all(row.seen for row in report.rows)


def test_what_the_other_side_says_is_shown_without_its_control_characters_and_cut():
    about = certificate(issuer="\x1b[2J" + "x" * 500)
    report = judge(Observations("relay.test:443", NOW, **until(secured=secured(about, verify_code=20))), DIRECT)
    shown = repr(report.rows) + report.verdict.sentence
    assert "\x1b" not in shown
    assert "x" * 121 not in shown


def test_hops_that_were_not_reached_are_told_from_hops_that_are_well():
    report = judge(Observations("relay.test:443", NOW, **routed(Fault.REFUSED)), DIRECT)
    assert {row.hop for row in report.rows if row.seen == "not reached"} == set(Hop) - {Hop.NAME, Hop.ROUTE, Hop.PROXY}
