"""The edge: the gRPC server for suites. It holds their streams and fans out the workers' results.

    server.py              the server's life: TLS, health, reflection, drain
    service.py             the two RPCs: each call becomes a stream
    gate.py                checks every call before any message is read
    auth.py                verifies the suite key of a call
    unauthenticated.py     bounds calls without a verified suite key
    requests.py            parses and checks what a suite asks for
    open_calls.py          the places for calls of each tenant, and which call may take another's
    name_budget.py         limits how fast suites may name users
    tenant_limits.py       reads how many names each tenant may watch
    context.py             the parts that all streams use, made once
    stream/                one suite's stream: its life, lookups, sending and clocks
    hub/                   reads `changes` of the partitions in use, and hands entries to the streams
    interest.py            the names that this edge's suites watch, in step with the store
    watch_audit.py         writes to the audit log which suite watched whom
    connected_suites.py    ends streams of keys that have ended, and publishes which suites are connected
    encode.py              the wire, by joining bytes
    errors.py              each error on the wire
    health.py              gRPC's health service
    reflection.py          gRPC's reflection
    sockets.py             the process's sockets: stops listening while gRPC still serves the open connections
    address_limit.py       bounds the connections of one address
    memory.py              gives freed memory back to the system
    tasks.py               short tasks beside the streams
    weighted_semaphore.py  a fair semaphore with weights
    statistics.py          the edge at one moment, in numbers
    metrics.py             its metrics
    spans.py               its spans
    settings.py            every limit, with its reason

    suite ──requests──► stream ──names──► interest ──► Redis
      ▲                  │  ▲
      └────responses─────┘  └──entries── hub ◄──changes── Redis

An edge keeps nothing that must outlive it: its streams resume at another one. The rules of a stream are pure, in
`relay.core.watching.watch`; this package waits, reads and writes. A stream costs a reading task and a sending task, and a
lookup one more while it lasts.
"""
