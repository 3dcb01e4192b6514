"""The edge: the gRPC server that suites talk to. It holds their streams and fans out what the workers found.

    server.py      the server's life: TLS, health, reflection, drain
    sockets.py     no more connections, while gRPC still serves the open ones
    gate.py        checks of every call before anything of it is read: short metadata, a good suite key
    strangers.py   calls without a suite key: how many, and how much of them is read
    open_calls.py  places for calls: how many each tenant has, and who may take another's
    health.py      gRPC's health service, which needs no suite key
    reflection.py  gRPC's reflection, for tools such as grpcurl
    service.py     the two RPCs: who calls, what they ask for, how they end
    auth.py        whose key it is
    requests.py    what a suite asks for, checked
    watch.py       one suite's stream: lookups, sending, its timer
    suites.py      ends streams whose suite key has ended, and records who is connected
    watched.py     writes to the audit log which suite watched whom
    pace.py        a budget of names for each suite key
    limits.py      how many names each tenant may watch
    shared.py      what all streams of one edge use
    hub.py         reads `changes` of the partitions in use and hands entries to the streams
    tenants.py     what the edge knows of a tenant with open streams: its streams, and how fresh presence is
    together.py    work that many ask for at the same time and one does for all
    turns.py       turns at work of which only so much may be under way
    history.py     whether the store's history is still the one that the streams were shown
    interest.py    the names that this edge's suites watch, in step with the store
    encode.py      the wire, by joining bytes
    errors.py      what each error is on the wire
    memory.py      gives freed memory back to the system
    settings.py    every limit, with its reason

    suite ──requests──► watch ──names──► interest ──► Redis
      ▲                  │  ▲
      └────responses─────┘  └──entries── hub ◄──changes── Redis

An edge keeps nothing that must outlive it: its streams resume at another one. The rules of a stream are pure and live in
`relay.core.watching.watch`; here is the waiting, the reading and the writing. A stream costs a reading task and a sending task; a
lookup has one more while it lasts.
"""
