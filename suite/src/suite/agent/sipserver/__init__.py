"""The agent's SIP server: phones, telephone systems and presence servers watch colleagues, and telephone systems publish the state of phones.

It needs `presence-suite[sip]`.

server.py      the SIP server as a part of the agent
listening.py   the addresses on which it listens
watching.py    the rules of subscriptions: admission, and the body of each NOTIFY
publishing.py  states of phones that telephone systems publish
registering.py  registrations of phones, accepted and not stored
access.py      networks, logins and certificates
subscribed.py  one subscription: to a colleague, or to a list
lists.py       lists of colleagues
finding.py     the colleague whom a URI names
telephony.py   documents of telephone systems -> the state of a phone
documents.py   the documents that phones read
states.py      states of consoles -> the states that phones show
words.py       the names of states that phones show
phones.py      the state of the SIP server, for the agent's page
table.py       the states as a table, for the documentation

    phones ──► suite.sip ──► access ──► watching ◄── board
    PBX    ──► suite.sip ──► access ──► publishing ──► board
"""
