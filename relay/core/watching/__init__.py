"""Rules of watching: a suite's stream, a tenant's permission, and the names that are wanted.

watch.py       the rules of one watch: which answers to send to a suite, and when its resume token may move
spellings.py   the names of one watch as the suite spells them, malformed ones included
values.py      the values that a watch takes and returns
outbox.py      the conflating outbox: the newest unsent value for each key of one reader
permission.py  the tenant's rules on who may be watched: domains, single users, and users who opted out
wanted.py      the names that a tenant's edges watch, and those that linger
readings.py    reads of whole edge sets that are under way, and the hints that arrive meanwhile
limits.py      limits of one tenant: the operator's default, or the tenant's setting
"""
