"""A SIP user agent for presence (SIP/SIMPLE) over UDP, TCP and TLS: subscriber, notifier and publisher. No INVITE, no SDP.

It needs the extra `presence-suite[sip]`.

headers.py         header fields: lists of values, parameters, quoted strings
message.py         requests and responses: parsing, writing, framing in a stream
uris.py            URIs, name-addr, Via
digest.py          computation of digest authentication, MD5 and SHA-256
challenges.py      digest client and server: retries, nonces
replies.py         responses to requests; `received` and `rport` of a Via
transactions.py    retransmissions and timeouts of requests and responses
dialogs.py         tags, route set, remote target, CSeq
subscriptions.py   state of a subscription, subscriber's side
admission.py       rate limit for each address
turns.py           pacing of outgoing requests
flows.py           a connection, or our UDP socket towards a peer
tls_listener.py    TLS listener that counts connections before their handshake
transport.py       all sockets
srv.py             SRV records, and the order of a server's targets
lookup.py          DNS lookups
servers.py         address, protocol, login and certificate of a server
incoming.py        a received request, and the checks that all requests pass
user_agent.py      sockets, transactions and timers together
subscriber.py      our subscriptions, kept alive
watchers.py        state of a subscription, notifier's side
notifier.py        subscriptions of others: SUBSCRIBE in, NOTIFY out
publications.py    event states that others publish to us
publisher.py       an event state that we publish
publish_door.py    receives PUBLISH requests
documents.py       XML parsing within limits
pidf.py            presence documents (PIDF, RPID)
dialoginfo.py      dialogs of a phone (dialog-info)
multipart.py       bodies of several parts
resource_lists.py  the states of many resources in one notification
errors.py          exceptions

    subscriber ──► user_agent ──► transactions ──► message
                       │  ▲                          ▲
                       ▼  │ requests, responses      │
                    transport ──► flows ─────────────┘

Modules that do I/O, or wait, are flows, tls_listener, transport, lookup, servers, user_agent, turns, subscriber, notifier, publisher and
publish_door. All others are pure: messages and the time are arguments. Callbacks run on the event loop and must not block.

Subscribe:

    login = DigestClient(Login(user="suite", password="..."))       # one for all requests to a server
    server = SipServer.at("pbx.example:5060", "tcp", digest=login)
    async with UserAgent() as agent:
        subscriber = Subscriber(agent, per_s=50)                    # starts and refreshes at most 50 a second
        wish = SubscriptionWish(uri="sip:1001@pbx.example", own_uri="sip:suite@pbx.example")
        await subscriber.fetch(server, wish)                        # once; raises SipRefusal, SipDenied, SipTimeout, SipUnreachable
        subscription = subscriber.subscribe(server, wish, listener) # calls listener(SubscriptionEvent) until SubscriptionEnd
        subscriber.turns.hold()                                     # starts and refreshes nothing until `release`

    event                 what the caller does
    SubscriptionAccepted  checks `lists`: False for a wish with `resource_list` means that the server has no such list
    Notification          reads `body` by `content_type`: read_pidf, read_dialog_info into DialogsHeld, read_list(content_type_line, body) into
                          ListHeld; after "gap" ends the subscription and starts another. Without a body the server has no state
    SubscriptionTrouble   shows states as uncertain. The subscriber retries automatically; the next Notification ends the trouble
    SubscriptionEnd       asks `retry_s(end)`: None means not to subscribe again (denied, 403, 404, rejected), otherwise wait that long, with jitter

Notify: `Notifier(agent, rules, {"presence": pidf.CONTENT_TYPE, "dialog": dialoginfo.CONTENT_TYPE})` asks its `NotifierRules` which SUBSCRIBE to admit (by
`incoming.flow.peer`, by `DigestServer.check`) and which body to send. `watcher.changed()` sends the newest state; `watcher.state.version` counts for documents
with a version. Publish: `PublishedDocument(agent, server, uri)`; set `wanted` and await `publish`, again before it expires. Receive publications:
`PublishDoor(agent, rules, events)`.

At the end call `close` of each of them, then leave the user agent. Limits are `TransportLimits`, `NotifierLimits` and `Publications`; `agent.transport.counts`
counts refusals by reason. Redirections (3xx) are refusals, so they cannot loop. A server's name without a port may have SRV records (RFC 3263).
If one of several addresses does not answer, cannot be connected to or answers 503, the next one is tried.
"""
