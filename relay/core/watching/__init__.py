"""Rules of watching: a suite's stream, a tenant's permission, and the names that are wanted.

watch.py            the rules of one watch: what a suite's stream is still owed, and when its resume token may move
spellings.py        the names of one watch as the suite spells them, malformed ones included
values.py           the values that a watch takes and gives
outbox.py           the conflating outbox: the newest unsent value for each key of one reader
permission.py       the tenant's rules on who may be watched: domains, single users, and users who opted out
wanted.py           the names that a tenant's edges watch, and those that linger
readings.py         whole sets of edges while they are being read, and the hints that arrive meanwhile
limits.py           limits of one tenant: the operator's default, or the tenant's own setting
watch_intervals.py  which suite watches whom, from when to when, for the audit log
"""
