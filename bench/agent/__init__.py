"""The agent beside a suite: from a change at the relay to the last console, and many consoles that connect at once.

relay.py        a bare relay, which changes people on time
direct.py       a suite that reads the relay itself, without an agent
broadcaster.py  the peer: the same stream, broadcast as server-sent events by Starlette and nothing else
consoles.py     consoles that read server-sent events
run.py          run it all, and compare
"""
