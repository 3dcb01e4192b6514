"""The settings by subject: each module has its settings, the value that they become, and how that is read.

board.py  the colleagues, and the source that wins
teams.py  the way to the relay
api.py    the local API
sfb.py    Skype for Business
hub.py    the way to the agent through which notes are shared
log.py    the log
sip_server.py  the SIP server, through which phones watch colleagues
asterisk.py  the feed to Asterisk
sip_publish.py  the feed to a presence server
sip_simple.py  presence and phones by SIP
"""
