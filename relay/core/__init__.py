"""Rules and values of the relay. Pure: no I/O, no clocks (`now` is an argument), no third-party imports.

addresses.py  Domains and e-mail addresses, in the form that the DNS and every mail server take
audit/        The audit log: its events, and its files
bucket.py     A token bucket that may be overdrawn once: who has paid for too much waits before the next.
consent/      Tenants and grants: their life, and what Microsoft's refusals mean for them
names.py      Names of users as suites give them, and the one form that the relay keeps them in
pausing.py    Computes the pause after a refusal
presence.py   The values that the relay passes around: ids, observations, presences, statuses
push/         Subscriptions at Graph: their life, whom they cover, and whether they announce what happens
reading/      the plan of reads, the budget, refusals, and the order of observations
revision.py   Positions in a partition's `changes`, the identity of that sequence, and the token that carries both to a suite
share_holder.py One worker's part in keeping shares fair: what it is to take, and what to hand over next
shares.py     Fair shares of the partitions: which worker is to have which
showing/      Values shown to people: console statuses, idle times, reasons why a user has no presence
textfile.py   Text files as people have them: also as Windows writes them
watching/     the rules of a stream, permissions, and the names that are wanted
"""
