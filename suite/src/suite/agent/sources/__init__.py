"""The sources of presence: each says what it knows of the colleagues on the board, and how it is connected.

teams.py         Microsoft Teams, from the relay
statements.py    what the relay said of a name, as a statement
doubt.py         how far the answers of the relay can be trusted now: certain, uncertain, unknown
organisation.py  whether the relay can read the organisation, as a state of the connection
sfb/             Skype for Business Server, by UCWA
sip/             presence servers and telephone systems, by SIP
local.py         telephony and rich presence that programs beside the agent tell it
source.py        what every source has: a name, and the state of its connection
"""
