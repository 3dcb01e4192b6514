"""What suites watch: the rules of a stream, what a tenant permits, and which names are wanted.

limits.py           How much one tenant may have: the operator's default, or what the tenant's own setting says
outbox.py           The conflating outbox: what one reader has still to be sent, newest value per key
permission.py       Whom the suites of a tenant may watch, as the tenant decides: domains, single users, and users who opted out
readings.py         The whole sets of edges that are being read: one reading of an edge at a time, and what hints said meanwhile comes after it
wanted.py           Which names of a tenant are wanted: by which edges, and for how long after the last one let go
watch.py            The rules of one watch: what a suite's stream is still owed, and when its resume token may move
watch_intervals.py  Which suite watches whom, from when to when, for the audit log.
"""
