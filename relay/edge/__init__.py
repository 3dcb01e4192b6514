"""The edge: the gRPC server for suites. It holds their streams and fans out the workers' results.

    server.py              the server's life: TLS, health, reflection, drain
    service.py             the two RPCs: each call becomes a stream
    gate.py                checks every call before any message is read
    auth.py                verifies the suite key of a call
    unauthenticated.py     bounds calls without a verified suite key
    requests.py            parses and checks the requests of a suite
    open_calls.py          the limit on open calls of each tenant, and when a new call replaces an old one
    name_budget.py         limits how fast suites may name users
    tenant_limits.py       reads how many names each tenant may watch
    context.py             the parts that all streams share
    stream/                one suite's stream: its life, lookups, sending and clocks
    hub/                   reads `changes` of the partitions in use, and delivers entries to the streams
    interest.py            the names that this edge's suites watch, kept in sync with the store
    watch_audit.py         writes to the audit log which suite watched whom
    connected_suites.py    ends streams whose key is no longer valid, and publishes which suites are connected
    encode.py              encodes responses by joining bytes
    errors.py              the gRPC status of each error
    health.py              gRPC's health service
    reflection.py          gRPC's reflection
    sockets.py             the process's sockets: stops listening while gRPC still serves open connections
    address_limit.py       bounds the connections of one address
    memory.py              returns freed memory to the system
    tasks.py               short background tasks of streams
    weighted_semaphore.py  a fair semaphore with weights
    statistics.py          the edge's counters at one moment
    metrics.py             its metrics
    spans.py               its spans
    settings.py            every limit, with its reason

    suite ──requests──► stream ──names──► interest ──► Redis
      ▲                  │  ▲
      └────responses─────┘  └──entries── hub ◄──changes── Redis

An edge has no state that must outlive it: its streams resume at another edge. The rules of a stream are pure, in
`relay.core.watching.watch`; this package does the I/O. A stream has a reading task and a sending task, and a third one
during a lookup.
"""
