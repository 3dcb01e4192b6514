"""The rules of the connection to the relay: name, route, proxy, TLS, certificate, HTTP/2."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from suite.doctor.rows import Row, State, foreign
from suite.doctor.values import UNTRUSTED_ISSUER, Fault, Hop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from suite.channel import Target
    from suite.doctor.values import Named, Observations, Proxied, Routed, Secured, Spoken

SET_PROXY: Final = "HTTPS_PROXY or --proxy"
_EXPIRES_SOON: Final = timedelta(days=14)
_NOT_YET, _EXPIRED = 9, 10
_OTHER_NAME: Final = frozenset({62, 64})
_WANTS_LOGIN: Final = frozenset({401, 407})


def way_rows(seen: Observations, target: Target) -> Iterator[Row]:
    """Yield the rows for the steps that ran."""
    if seen.named is not None:
        yield _name(seen.named, target)
    if seen.routed is not None:
        yield _route(seen.routed, target)
    if target.proxy is None:
        yield Row(Hop.PROXY, State.OK, "none: NO_PROXY exempts the relay from it" if seen.is_exempt else "none")
    elif seen.proxied is not None:
        yield _proxy(seen.proxied, target.address)
    if seen.secured is not None:
        yield _tls(seen.secured, target)
        if seen.secured.fault is Fault.NONE:
            yield _certificate(seen.secured, target, seen.now)
            if seen.secured.version and seen.secured.alpn != "h2":  # without a version, the second handshake failed
                yield _not_http2(seen.secured, target)
    if seen.spoken is not None:
        yield _http2(seen.spoken, target)


def via(target: Target) -> str:
    """Return " through the proxy …", or nothing."""
    return f" through the proxy {target.proxy.shown}" if target.proxy else ""


def hop_between(target: Target) -> str:
    """Return the hop that may interfere: the proxy, or an unknown one."""
    return f"the proxy {target.proxy.shown}" if target.proxy else "something in between"


def _next_hop(target: Target) -> str:
    return f"the proxy {target.proxy.shown}" if target.proxy else target.address


def _or_proxy(target: Target) -> str:
    """Return the advice on the proxy: correct its setting, or name one if the network has one."""
    if target.proxy:
        return f"correct {SET_PROXY}"
    return f"if this network has a proxy, name it in {SET_PROXY}"


def _name(named: Named, target: Target) -> Row:
    host = named.host
    match named.fault:
        case Fault.NONE:
            return Row(Hop.NAME, State.OK, f"{host}: {', '.join(named.addresses)}")
        case Fault.NO_NAME_SERVER:
            remedy = f"no name server answered for {host}: check this machine's network and DNS; {_or_proxy(target)}."
        case _:
            what = f"the proxy's name {host}" if target.proxy else f"the name {host}"
            remedy = f"{what} cannot be found: check the address and this machine's DNS; {_or_proxy(target)}."
    return Row(Hop.NAME, State.FAILED, f"{host}: {named.fault.value}", remedy)


def _route(routed: Routed, target: Target) -> Row:
    hop = _next_hop(target)
    shown = ", ".join(
        f"{each.address} port {routed.port}: " + (each.fault.value or f"open, {each.took_s * 1000:.0f} ms")
        for each in routed.tries
    )
    if routed.is_open:
        return Row(Hop.ROUTE, State.OK, shown)
    faults = {each.fault for each in routed.tries}
    if Fault.REFUSED in faults:
        check = f"start it, or correct {SET_PROXY}" if target.proxy else "check the address and the port"
        remedy = f"nothing listens at {hop} (connection refused): {check}."
    elif Fault.SILENT in faults:
        remedy = f"{hop} did not answer: have the firewall in between opened for it; {_or_proxy(target)}."
    else:
        remedy = f"there is no network route to {hop}: check this machine's network; {_or_proxy(target)}."
    return Row(Hop.ROUTE, State.FAILED, shown, remedy)


def _proxy(proxied: Proxied, address: str) -> Row:
    proxy = f"the proxy {proxied.shown}"
    about = f", {foreign(proxied.server)}" if proxied.server else ""
    if proxied.status == 200:
        login = ", with a login" if proxied.has_login else ""
        return Row(Hop.PROXY, State.OK, f"{proxied.shown} connects{login}{about}")
    if proxied.fault is not Fault.NONE:
        remedy = {
            Fault.SILENT: f"{proxy} accepts the connection and does not answer: ask its administrator to check it.",
            Fault.GARBLED: f"no HTTP proxy answers at {proxied.shown}: correct {SET_PROXY}.",
        }.get(proxied.fault, f"{proxy} closes the connection: ask its administrator whether this machine may use it.")
        return Row(Hop.PROXY, State.FAILED, f"{proxied.shown}: {proxied.fault.value}", remedy)
    return Row(Hop.PROXY, State.FAILED, f"{proxied.shown}: HTTP {proxied.status}{about}", _refusal(proxied, address))


def _refusal(proxied: Proxied, address: str) -> str:
    proxy, status = f"the proxy {proxied.shown}", f"HTTP {proxied.status}"
    if proxied.status in _WANTS_LOGIN:
        if proxied.schemes and "basic" not in {scheme.lower() for scheme in proxied.schemes}:
            offered = foreign(", ".join(proxied.schemes))
            return (
                f"{proxy} requires a login by {offered}, which gRPC cannot do ({status}): run a helper on this machine that can, such "
                f"as px or cntlm, and name that in {SET_PROXY}; or have {address} exempted from the login."
            )
        if proxied.has_login:
            return f"{proxy} refuses the user name or the password ({status}): correct them in {SET_PROXY}."
        return f"{proxy} requires a login ({status}): write http://user:password@host:port in {SET_PROXY}."
    if proxied.status >= 500:
        return f"{proxy} cannot reach {address} ({status}): check the address, and ask the proxy's administrator to try it from there."
    return f"{proxy} refuses to connect to {address} ({status}): have CONNECT to it allowed."


def _tls(secured: Secured, target: Target) -> Row:
    address, between = target.address, via(target)
    match secured.fault:
        case Fault.NONE:
            signed = f", certificate signed by {_signer(secured)}" if secured.certificate else ""
            return Row(Hop.TLS, State.OK, f"{secured.version or 'TLS'}{signed}")
        case Fault.SILENT:
            remedy = (
                f"{address} does not answer the TLS handshake{between}: check the port, and have {address} exempted where "
                "connections are inspected."
            )
        case Fault.GARBLED if "WRONG_VERSION" in secured.words or not secured.words:
            remedy = f"{address} does not speak TLS{between}: check the port; it is a plain-text one, or something else answers there."
        case Fault.GARBLED:
            words = foreign(secured.words)
            remedy = f"{address} refuses the TLS handshake{between} ({words}): show this to the relay's operator, and to the administrator of a proxy that inspects TLS."
        case _:
            remedy = (
                f"the connection to {address} is cut during the TLS handshake{between}: have {address} allowed in the firewall or "
                "proxy that does it."
            )
    return Row(Hop.TLS, State.FAILED, secured.fault.value, remedy)


def _signer(secured: Secured) -> str:
    if secured.certificate is None:
        return "an unknown CA"
    return "itself" if secured.certificate.is_self_signed else f'"{foreign(secured.certificate.issuer)}"'


def _certificate(secured: Secured, target: Target, now: datetime) -> Row:
    about = secured.certificate
    signer = _signer(secured)
    until = f"{about.not_after:%Y-%m-%d %H:%M} UTC" if about else "?"
    names = foreign(", ".join(about.names)) if about else "?"
    seen = f"for {names}, until {until}"
    if secured.verify_code:
        words = foreign(secured.verify_words)
        return Row(Hop.CERTIFICATE, State.FAILED, f"{seen}: {words}", _distrust(secured, target, now))
    if about and about.not_after - now < _EXPIRES_SOON:
        remedy = f"its certificate, signed by {signer}, ends on {until}: have it renewed before."
        return Row(Hop.CERTIFICATE, State.NOTE, seen, remedy)
    return Row(Hop.CERTIFICATE, State.OK, f"{seen}, trusted")


def _distrust(secured: Secured, target: Target, now: datetime) -> str:
    about, signer, address = secured.certificate, _signer(secured), target.address
    ours = f"{now:%Y-%m-%d %H:%M} UTC"
    if secured.verify_code in {_EXPIRED, _NOT_YET} and about is not None:
        end = (
            f"has expired, on {about.not_after:%Y-%m-%d %H:%M} UTC"
            if secured.verify_code == _EXPIRED
            else f"is not valid before {about.not_before:%Y-%m-%d %H:%M} UTC"
        )
        return f"the certificate of {address}, signed by {signer}, {end}: set this machine's clock if {ours} is wrong, else have it renewed."
    if secured.verify_code in _OTHER_NAME:
        names = foreign(", ".join(about.names)) if about and about.names else "no name"
        return f"the certificate of {address} is for {names} and not for {secured.name}: use a name that is in it, as the address or with --server-name."
    if secured.system_trusts:
        return (
            f"the certificate of {address} is signed by {signer}, which this system trusts but gRPC does not: name the system's "
            "certificates with --ca-file, for example /etc/ssl/certs/ca-certificates.crt."
        )
    if secured.verify_code in UNTRUSTED_ISSUER:
        other = "the CA file is the wrong one" if secured.has_ca else "the relay has a CA of its own"
        return (
            f"TLS to {address} is inspected in between, or {other}, because the certificate is signed by {signer}: "
            f"have {address} exempted from the inspection, or give that CA's certificate with --ca-file if you trust it."
        )
    return f"the certificate of {address}, signed by {signer}, cannot be trusted ({foreign(secured.verify_words)}): show this to the relay's operator."


def _not_http2(secured: Secured, target: Target) -> Row:
    address, signer = target.address, _signer(secured)
    if not secured.verify_code and not secured.has_ca:  # no inspecting proxy has a certificate of a public CA
        remedy = f"{address} speaks TLS but not HTTP/2: it is a web server or a balancer, and not the relay's gRPC port; check the address."
    elif target.proxy:
        remedy = (
            f"the proxy {target.proxy.shown} inspects TLS (the certificate is signed by {signer}) and does not pass HTTP/2: have {address} "
            "exempted from the inspection."
        )
    else:
        remedy = (
            f"{address} does not speak HTTP/2, and its certificate is signed by {signer}: check the address, or have it exempted "
            "where TLS is inspected."
        )
    return Row(Hop.HTTP2, State.FAILED, f"ALPN: {foreign(secured.alpn) or 'none'} instead of h2", remedy)


def _http2(spoken: Spoken, target: Target) -> Row:
    if spoken.has_pong:
        return Row(Hop.HTTP2, State.OK, "settings and a ping were exchanged")
    got = "settings came, a ping was not answered" if spoken.has_settings else "no settings came"
    remedy = (
        f"{target.address} chooses HTTP/2 and then does not speak it{via(target)} ({spoken.fault.value}): check the address, and have it exempted "
        "where connections are inspected."
    )
    return Row(Hop.HTTP2, State.FAILED, got, remedy)
