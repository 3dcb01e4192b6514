"""Skype for Business Server as a source: a user end point by UCWA 2.0, Microsoft's REST interface.

**Never seen against a real server.** It is written from Microsoft's documentation, and tested against a stand-in that is written from the
requests and answers of the same pages: https://learn.microsoft.com/skype-sdk/ucwa/unifiedcommunicationswebapi2_0

skype.py        the source: sessions, waits between them, doubt, the connection's state
session.py      one session: application and event channel, until something breaks
subscriber.py   subscriptions, and contacts whose presence the server does not send
discovery.py    the way to the user's home server, and the application there
fetching.py     the presence of contacts that changed
sightings.py    colleagues by SIP address, with the server's last statements
http.py         requests, each bounded in bytes and time
tokens.py       tokens, each for the host that asked for one
subscribing.py  the plan: subscriptions to create, extend and end next
pace.py         the times of a session
answers.py      the server's answers as values
hal.py          JSON with `_links` and `_embedded`, of bounded size
states.py       availability and activity as one state
hosts.py        the hosts to which requests may go
errors.py       the errors

    lyncdiscover ─► user ─► token ─► application ─► presence subscriptions, of 100 colleagues each
                                          │
                                          └─► event channel, a long poll ─► who changed ─► contactPresence ─► the board

The session never makes its user available, so the user does not appear online and receives no calls here.
"""
