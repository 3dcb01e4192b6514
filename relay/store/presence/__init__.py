"""What can be read again from Graph: it lives at the main server and may be lost with it.

connected.py      Which suites have streams open, and how many users each watches: for the people of a tenant, not for anything to work
enforcement.py    Between a change of whom suites may watch and the moment at which it holds
entries.py        What `changes` says, and how an entry is read
explanations.py   What only a process knows in its memory, said when somebody asks: nothing of it is written while nobody does
hints.py          What the inbox says. A hint says where to look; the truth is in the sets and hashes, so a lost hint loses nothing
interest.py       Which names the suites of each edge watch: what the workers read presence for
leases.py         Leases: who owns a partition, for how long, and the number that proves it
pipes.py          The two streams of a partition: `inbox`, what its worker must look at, and `changes`, what its worker found
presences.py      What the worker found and the edges read: answers, what names stand for, contact, epoch
push.py           How many users of each tenant are pushed, and why others are not: for operators. Not needed for anything to work
subscriptions.py  The relay's subscriptions at Graph: which route, secret and users each has. Written down before Graph is asked for one
"""
