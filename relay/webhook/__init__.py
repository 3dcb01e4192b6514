"""Receives Graph's change notifications: verifies that they are Microsoft's, passes them on, answers at once.

    settings    its address and limits
    app         HTTP: the handshake, bodies, status codes
    posts       parses a POST as far as the webhook needs it
    routes      the subscription of a route, remembered briefly
    metrics     its metrics
    spans       its spans
    receiver    the checks, in order of cost, and the resulting hints
    server      composition

    Graph ── POST /notifications/<route> ──► size, JSON, route, client state ──► validation tokens ──► inbox ──► 202
                                                 │ cheap, no crypto               │ one signature each
                                                 └──────── dropped, counted by reason, 202 ◄──┘

The content of a notification stays encrypted here: the private keys are the workers'. So this role, which anybody can
reach, holds no secret but its TLS key and the password of its Redis user, who may only read routes of subscriptions and write hints
to the inbox (see relay/store/server/layout.py).

Microsoft advises to answer first and to validate afterwards. The webhook validates first, because that costs about 0.1 ms, and
because its answer is then the truth: 202 means that the notification is in the inbox, or that it was rejected for
good; anything else makes Graph send it again. In any case the answer comes within `deadline`.
"""
