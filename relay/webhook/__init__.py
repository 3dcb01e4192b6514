"""Receives Graph's change notifications: proves that they are Microsoft's, passes them on, answers at once.

    settings    where it listens, and its limits
    app         HTTP: the handshake, bodies, status codes
    posts       what a POST says, as far as the webhook looks into it
    routes      which subscription a route belongs to, remembered briefly
    receiver    the checks, in order of cost, and the hints that come of them
    server      the role put together

    Graph ── POST /notifications/<route> ──► size, JSON, route, client state ──► validation tokens ──► inbox ──► 202
                                                 │ cheap, no crypto               │ one signature each
                                                 └──────── dropped, counted by reason, 202 ◄──┘

What a notification says stays encrypted here: the private keys are the workers'. So this role, the one that anybody can
reach, holds no secret but its TLS key and the password of its Redis user, who reads routes of subscriptions and writes hints
to the inbox, and no more (see relay/store/server/layout.py).

Microsoft's text says: answer first, validate afterwards. It is the other way round here, because a validation costs some
0.1 ms and an answer that comes after it is still the truth: 202 means that the notification is in the inbox, or that nobody
will ever want it; anything else makes Graph send it again. Whatever happens, the answer comes within `deadline`.
"""
