"""The agent's SIP server and phones: the time from a state at the local API to the last NOTIFY of many phones that watch a list.

phones.py  phones that watch a list over TCP, and record when each change reached the last of them
bare.py    the peer: writes prepared messages to connections, without rules or state
run.py     runs both sides, and compares
"""
