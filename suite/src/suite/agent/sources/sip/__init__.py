"""The SIP source: subscriptions (RFC 6665) at presence servers and telephone systems.

opening.py    the source, or a placeholder when its libraries are missing
source.py     the source: chooses a server, and puts states on the board
asking.py     subscriptions to single resources, started again when they end
listed.py     one subscription to a resource list
resources.py  the resources and their states
checking.py   the self-check: one fetch of the agent's own URI
servers.py    the choice of a server, and the times of checks of the others
mapping.py    documents -> rich presence and the state of a phone
states.py     answers of a server -> the state of the connection, and of one user
trust.py      the doubt about each state

    the board's colleagues ──► resources ──► asking, listed ──► suite.sip ──► server
                                   ▲             │
    the board ◄── trust ◄──────────┴── mapping ◄─┘
                    ▲
                 checking: every half minute, and when a connection breaks

mapping, states, servers, trust and resources are rules without I/O. Only `opening` may be imported without `presence-suite[sip]`.
"""
