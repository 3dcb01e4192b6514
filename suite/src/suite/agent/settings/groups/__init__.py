"""The settings by subject: each module has the settings, the class of their values, and the function that reads them.

board.py  the colleagues, and the winning source
teams.py  the Teams source, and the connection to the relay
api.py    the local API
sfb.py    Skype for Business
hub.py    the hub, through which agents share notes
log.py    the log
sip_server.py  the SIP server, through which phones watch colleagues
asterisk.py  the feed to Asterisk
sip_publish.py  the feed to a presence server
sip_simple.py  presence and phones by SIP
"""
