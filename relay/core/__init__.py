"""Rules and values of the relay. Pure: no I/O, no clocks (`now` is an argument), no third-party imports.

addresses.py    Domains and e-mail addresses, in the form that DNS and mail servers accept
audit/          The audit log: its events, its files, and which suite watches whom
bucket.py       A token bucket that one payment may overdraw
consent/        Tenants and grants: their states, and what Microsoft's refusals mean for them
names.py        Names of users as suites send them, and their normalised form
pausing.py      The pause after a refusal
presence.py     The values that the relay passes around: ids, observations, presences, statuses
push/           Subscriptions at Graph: their life, the users that they cover, and whether they announce changes
reading/        The plan of reads, the request budget, refusals, and which observations change an answer
revision.py     Positions in a partition's `changes`, the identity of that sequence, and the resume token that carries both
share_moves.py  The partitions that one worker takes and hands over, so that shares become fair in few moves
shares.py       Fair shares of the partitions: a plan that all workers compute from one table
showing/        Values shown to people: console statuses, idle times, reasons why a user has no presence
take_limit.py   The limit on the partitions that a worker may own after it was too slow to keep its leases
textfile.py     Text files in the encodings that people save them in, also on Windows
watching/       The rules of a stream, permissions, and the names that are wanted
"""
