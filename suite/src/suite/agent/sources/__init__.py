"""The sources of presence: each puts statements about colleagues on the board, and reports the state of its connection.

teams.py         Microsoft Teams, from the relay
statements.py    answers of the relay -> statements
doubt.py         the doubt about the answers of the relay: certain, uncertain, unknown
organisation.py  status of the organisation at the relay -> state of the connection
sfb/             Skype for Business Server, by UCWA
sip/             presence servers and telephone systems, by SIP
local.py         telephony and rich presence that local programs send to the agent
source.py        the interface of a source, and the states of its connection
"""
