"""The whole relay against the local Microsoft cloud: the freshness of presence, and the time until suites are answered.

world.py       a world for the cloud, with a grant and a suite key for each tenant
rig.py         the processes: Valkey, the cloud, and a relay with all roles, whose event loop is monitored
suites.py      the streams of suites, over TLS
changes.py     people who change their presence at a steady rate
scale.py       100,000 watched users
answer.py      newly watched users, and changes
slow_token.py  one tenant whose token endpoint is slow
abuse.py       one tenant that floods the relay, next to a quiet one that must see fresh changes
lateness.py    the delays of an event loop, and their causes
"""
