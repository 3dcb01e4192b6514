"""Connections to Redis, and what every other package of the store needs.

acl.py           Redis users: for each role an ACL that lets it do what it does, made of the layout of keys and of what the role runs
clients.py       One Redis server as the relay has it: its address and all connections to it, which are made anew when it is no primary any more
connection.py    What runs on which connection to Redis, and whether the server can be trusted. The connections themselves are in `server.py`
forbidden.py     What a Redis user may not do, in an operator's words: said once a minute, however often the relay tries
keys.py          Every key in Redis, and which partition a tenant is in. Who may touch them is in `layout.py`: a new key needs a row there
layout.py        Who may touch which keys: the families of keys in `keys.py`, and what each role does with them
pipelining.py    A store for reading much at once: what several tasks ask in one turn of the event loop travels in one round trip
preflight.py     Whether a Redis server can be trusted with what the relay keeps in it: probes commands and settings, not versions
redis_errors.py  What an error that a command brings means to the relay: one table of the server's codes, and what lines do that break
scripting.py     Lua scripts: read from the package once, run by their hash
sight.py         How the store is at present, looked at once a second, for whoever asks whether the process is ready
user_rights.py   What a Redis user may do, asked of the server without doing it
"""
