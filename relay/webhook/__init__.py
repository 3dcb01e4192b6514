"""Receives Graph's change notifications: verifies their sender, passes them to the workers and answers at once.

    settings    its address and limits
    app         HTTP: the handshake, bodies, status codes
    posts       parses a POST into notifications and validation tokens
    routes      caches the subscription of a route
    metrics     its metrics
    spans       its spans
    receiver    checks a POST, cheap checks first, and makes the hints for workers
    server      builds the webhook and serves it

    Graph ── POST /notifications/<route> ──► size, JSON, route, client state ──► validation tokens ──► inbox ──► 202
                                                 │ cheap, no crypto               │ one signature each
                                                 └──────── dropped, counted by reason, 202 ◄──┘

The content of a notification stays encrypted here: only workers have the private keys. So this role, which the internet
can reach, holds only two secrets: its TLS key and the password of its Redis user, which may only read routes of
subscriptions and write hints to the inbox (see relay/store/server/layout.py).

Microsoft recommends answering first and validating afterwards. The webhook validates first, because that takes about 0.1
ms and makes its answer reliable: 202 means that the notification is in the inbox or was rejected permanently; after any
other answer Graph sends it again. The answer always comes within `deadline`.
"""
