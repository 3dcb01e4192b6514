"""The agent's SIP server and phones: from a change on the board to the last NOTIFY of many phones that watch a list.

serving.py  the SIP server with a board that changes on time, and the peer, which writes finished messages to connections
phones.py   phones that watch a list over TCP, and note when each change came to the last of them
run.py      run both, and compare
"""
