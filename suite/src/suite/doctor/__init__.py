"""The doctor: finds the failing hop between this machine and presence, and suggests a fix.

    command.py      the command `presence-suite doctor`
    wanted.py       the relay to examine, from options and settings
    report.py       a table for users, JSON for support
    verdict.py      the rules: observations -> rows and a verdict
    service.py      the rules of the relay: calls, streams, key, organisation, consent, idle streams, clock
    way.py          the rules of the connection to it: name, route, proxy, TLS, certificate, HTTP/2
    rows.py         a row of the report
    examine.py      run the steps in order until one fails
    calls.py        call the relay with the real gRPC client
    idle.py         keep a stream idle, and see whether it is cut
    http2.py        the part of HTTP/2 that this needs
    tls.py          the TLS handshake
    tunnel.py       CONNECT through a proxy
    line.py         one connection, bounded in time and bytes; DNS lookup
    values.py       the observations of each step
    certificate.py  read a certificate's issuer, names and validity

The doctor runs each step itself, because gRPC's error texts do not distinguish hops. The result of the real gRPC client decides. The rules do
no I/O. The key is sent only to a server whose certificate is trusted.
"""
