"""The agent compared with a suite: the time from a change at the relay to the last console, and many consoles that connect at once.

relay.py        a bare relay, which changes people on schedule
direct.py       a suite that reads the relay itself, without an agent
broadcaster.py  the peer: the same stream, broadcast as server-sent events by Starlette only
consoles.py     consoles that read server-sent events
run.py          runs both sides, and compares
"""
