"""The agent's SIP server: phones, telephone systems and presence servers watch colleagues. It needs `presence-suite[sip]`.

server.py     the part of the agent: listens, and follows its settings
watching.py   who may watch whom, and what each is told
finding.py    the colleague whom a URI names
documents.py  the documents that phones read
states.py     the states that phones are told
words.py      the words beside a state

    phones ──► server ──► suite.sip.notifier ──► watching ──► board
"""
