"""The whole relay at work against the local Microsoft cloud: how fresh presence is, and how fast suites are answered.

world.py       a world for the cloud, and a grant and a suite key for each of its tenants
rig.py         the processes: Valkey, the cloud, and a relay with all roles whose event loop is watched
suites.py      the streams of suites, over TLS
changes.py     people who change their presence at a steady rate
scale.py       100,000 watched users
answer.py      newly watched users, and changes
slow_token.py  one tenant whose token endpoint is slow
abuse.py       one tenant that floods the relay, beside a quiet one that must see fresh changes
lateness.py    the delays of an event loop, and their causes
"""
