"""The agent's SIP server: phones, telephone systems and presence servers watch colleagues, and telephone systems publish the state of phones.

It needs `presence-suite[sip]`.

server.py      the part of the agent: listens, and follows its settings
listening.py   the addresses on which it listens
watching.py    subscriptions: who may watch whom, and what each is told
publishing.py  states of phones that telephone systems publish
registering.py  registrations of phones, answered and not kept
access.py      networks, logins and certificates
subscribed.py  one subscription: to a colleague, or to a list
lists.py       lists of colleagues
finding.py     the colleague whom a URI names
telephony.py   documents of telephone systems -> the state of a phone
documents.py   the documents that phones read
states.py      the states that phones are told
words.py       the words beside a state
phones.py      the state of the SIP server, for the agent's page
table.py       the states as a table, for the documentation

    phones ──► suite.sip ──► access ──► watching ◄── board
    PBX    ──► suite.sip ──► access ──► publishing ──► board
"""
