"""The on-premises side of the relay: a client library and the `presence-suite` command.

    cli ──► watching ──► table, lines        what a person or a script sees
                │
                ▼
             client ──► stream ──► channel   one open stream at a time; resumes by itself
                │          │          └────── proxy   TLS, limits, the HTTP proxy
                │          └── parts         a start or a change, cut into messages that fit
                ├── backoff, explain         when to try again, and what to say meanwhile
                └── state ──► events, values the rules: what is held, what a response means

It knows the protocol (`relay.api.presence.v1`) and nothing else of the relay. A suite in another language can be built
from the same parts; `state` is the one to copy with care.
"""
