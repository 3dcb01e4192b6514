"""The whole relay at work against the local Microsoft cloud: how fresh presence is, and how fast suites are answered.

world.py       a world for the cloud, and a grant and a suite key for each of its tenants
rig.py         the processes: Valkey, cloud, relay with all roles; the relay's event loop is watched
suites.py      suites' streams over TLS
scale.py       100,000 watched users
answer.py      newly watched users, and changes
slow_token.py  one tenant in trouble
abuse.py       one tenant floods the relay; a quiet one beside it must see fresh changes
lateness.py    how late an event loop is, and why
"""
