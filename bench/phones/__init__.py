"""The agent's SIP server and phones: from a state that the local API is told to the last NOTIFY of many phones that watch a list.

phones.py  phones that watch a list over TCP, and note when each change came to the last of them
bare.py    the peer: whoever writes finished messages to connections, without rule or state
run.py     run both, and compare
"""
