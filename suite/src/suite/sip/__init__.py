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
admission.py       requests a second of an address
turns.py           what we begin, spread over time
flows.py           a connection, or our UDP socket towards a peer
tls_listener.py    connections by TLS, counted from their beginning
transport.py       all sockets
srv.py             SRV records, and the order of a server's targets
lookup.py          names, looked up
servers.py         the far end that requests go to
incoming.py        a request of a peer, and what each is checked for
user_agent.py      sockets, transactions and time put together
subscriber.py      subscriptions of ours, kept alive
watchers.py        the life of a subscription of others
notifier.py        subscriptions of others, answered
publications.py    states that others publish to us
publisher.py       a state that we publish
publish_door.py    PUBLISH requests of others, answered
documents.py       XML of strangers, within limits
pidf.py            presence documents
dialoginfo.py      dialogs of a phone
multipart.py       bodies of several parts
resource_lists.py  the states of many in one notification
errors.py          what can go wrong

    subscriber ──► user_agent ──► transactions ──► message
                       │  ▲                          ▲
                       ▼  │ requests, responses      │
                    transport ──► flows ─────────────┘

Modules that do I/O, or wait, are flows, tls_listener, transport, lookup, servers, user_agent, turns, subscriber, notifier, publisher and
publish_door; all others are rules: messages and the time go in. Callbacks are called on the event loop and must not wait.

Watch somebody:

    login = DigestClient(Login(user="suite", password="..."))       # one for all requests to a server
    server = SipServer.at("pbx.example:5060", "tcp", digest=login)
    async with UserAgent() as agent:
        subscriber = Subscriber(agent, per_s=50)                    # begins and refreshes at most 50 a second
        wish = SubscriptionWish(uri="sip:1001@pbx.example", own_uri="sip:suite@pbx.example")
        await subscriber.fetch(server, wish)                        # once; raises SipRefusal, SipDenied, SipTimeout, SipUnreachable
        subscription = subscriber.subscribe(server, wish, tell)     # tell(SubscriptionEvent), until SubscriptionEnd
        subscriber.turns.hold()                                     # nothing is begun or refreshed until `release`

    tell gets         and the caller
    SubscriptionAccepted  looks at `lists`: False for a wish with `resource_list` means that the server has no such list
    Notification          reads `body` by `content_type`: read_pidf, read_dialog_info into DialogsHeld, read_list(content_type_line, body) into
                          ListHeld; after "gap" ends the subscription and begins another. No body: the server knows nothing of the user
    SubscriptionTrouble   shows states as uncertain; it is tried again by itself, the next Notification ends it
    SubscriptionEnd       asks `retry_s(end)`: None is for good (denied, 403, 404, rejected), else it subscribes anew after so many seconds, spread

Be watched: `Notifier(agent, rules, {"presence": pidf.CONTENT_TYPE, "dialog": dialoginfo.CONTENT_TYPE})` asks its `NotifierRules` whom to admit (by
`incoming.flow.peer`, by `DigestServer.check`) and what to tell. `watcher.changed()` tells the state of then; `watcher.state.version` counts for documents
with a version. Publish: `PublishedDocument(agent, server, uri)`; set `wanted` and await `publish`, again before its time is over. Take publications: `PublishDoor(agent, rules, events)`.

At the end call `close` of each of them, then leave the user agent. Bounds are `TransportLimits`, `NotifierLimits` and `Publications`; refusals by
reason are in `agent.transport.counts`. Redirections (3xx) are refusals, so they cannot loop. A server's name without a port may have
SRV records (RFC 3263). Of several addresses the next one is asked when one does not answer, has no connection, or says 503.
"""
