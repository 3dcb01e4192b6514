"""The doctor: names the hop that fails on the way to presence, and what to do.

    command.py      the command `presence-suite doctor`
    wanted.py       the relay that is asked for
    report.py       a table for people, JSON for support
    verdict.py      the rules: from what was seen to rows and a verdict
    service.py      the rules of the relay: calls, streams, key, organisation, consent, idle streams, clock
    way.py          the rules of the way to it: name, route, proxy, TLS, certificate, HTTP/2
    rows.py         a row of the report
    examine.py      take the steps in order, as far as the way is open
    calls.py        call the relay by the real gRPC client
    idle.py         leave a stream alone
    http2.py        as much of HTTP/2 as that takes
    tls.py          the TLS handshake
    tunnel.py       ask a proxy to CONNECT
    line.py         one connection, bounded in time and bytes; and the name
    values.py       what each step saw
    certificate.py  read who signed a certificate, for whom and for how long

It takes each step itself, because gRPC's words do not tell hops apart; what the real client then does has the last word. The rules do no
I/O. The key is sent to nobody whose certificate is not trusted.
"""
