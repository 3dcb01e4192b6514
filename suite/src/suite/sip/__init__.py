"""A SIP user agent for presence (SIMPLE): it subscribes, and answers subscribers, over UDP, TCP and TLS. No INVITE, no SDP.

It needs the extra `presence-suite[sip]`.

headers.py         header fields, several values a line, parameters, quoted strings
message.py         requests and responses: read, written, cut out of a stream
uris.py            URIs, name-addr, Via
digest.py          the arithmetic of digest authentication, MD5 and SHA-256
challenges.py      who tries how often; nonces of ours
replies.py         responses to requests; a request as it arrived
transactions.py    retransmissions and time limits of requests and responses
dialogs.py         tags, route set, target, CSeq
subscriptions.py   the life of a subscription of ours
admission.py       requests a second of an address; turns
flows.py           a connection, or our UDP socket towards a peer
transport.py       all sockets
servers.py         the far end that requests go to
incoming.py        a request of a peer, and what each is checked for
user_agent.py      sockets, transactions and time put together
subscriber.py      subscriptions of ours, kept alive
errors.py          what can go wrong

    subscriber ──► user_agent ──► transactions ──► message
                       │  ▲                          ▲
                       ▼  │ requests, responses      │
                    transport ──► flows ─────────────┘

Modules that do I/O are flows, transport, servers, user_agent and subscriber; all others are rules: messages and the time go in.

    login = DigestClient(Login(user="suite", password="..."))
    server = SipServer.at("pbx.example:5060", "tcp", digest=login)
    async with UserAgent() as agent:
        subscriber = Subscriber(agent)
        wish = SubscriptionWish(uri="sip:1001@pbx.example", own_uri="sip:suite@pbx.example")
        subscription = subscriber.subscribe(server, wish, print)   # print is called with each SubscriptionEvent
        ...
        await subscription.unsubscribe()
"""
