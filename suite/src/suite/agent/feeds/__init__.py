"""Feeds: the agent sends colleagues' states to telephone systems and presence servers, which cannot query it.

fed.py           the state that is sent: rich presence, never a telephone system's own report
states.py        a state -> device state and presence state of Asterisk
table.py         the same as a table, for the documentation
names.py         the names under which colleagues are fed
wishes.py        the wanted values, the values of the far end, and the values to send
ami.py           messages of the Asterisk Manager Interface, read and written
feed.py          the state of a feed's connection
ami_link.py      a connection to a manager: login, actions, events, pings
asterisk.py      the feed to Asterisk
documents.py     the documents that are published for a colleague
publishing.py    the states of many colleagues at one presence server
sip_publish.py   the feed to a presence server

    board ──► fed ──┬──► states ──► wishes ──► asterisk ──► ami_link ──► ami
                    └──► documents ──► publishing ──► sip_publish ──► suite.sip.publisher

fed, states, names, wishes, ami and documents are rules without I/O.
"""
