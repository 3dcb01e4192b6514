"""SIP: presence servers and telephone systems, asked by subscriptions of RFC 6665.

opening.py    the source, or a word that its libraries are missing
source.py     the source: finds a server, and shows what is known as far as it can be trusted
asking.py     subscriptions for all resources, begun anew when they end
listed.py     one subscription for the resources of a list
resources.py  the colleagues who are asked for, and what was said of each
checking.py   one question to a server: does it know the agent
servers.py    the server that is used, and the time at which another one is looked at
mapping.py    documents -> rich presence and the state of a phone
states.py     answers of a server -> the state of the connection, and of one user
trust.py      how far what was said can be trusted now

    the board's colleagues ──► resources ──► asking, listed ──► suite.sip ──► server
                                   ▲             │
    the board ◄── trust ◄──────────┴── mapping ◄─┘
                    ▲
                 checking: every half minute, and when a connection breaks

mapping, states, servers, trust and resources are rules: time and answers go in. Only `opening` may be imported without `presence-suite[sip]`.
"""
