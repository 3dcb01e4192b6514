"""Presence: data that can be read again from Graph. It is on the main server and may be lost with it.

presences.py      Answers, resolved names, contact and epoch, as workers write them and edges read them
contacts.py       The newest contacts of many tenants at once
values.py         The values of presence, and the stored layout of an answer
entries.py        The entries of `changes`, and their stored form
pipes.py          The two streams of a partition: `inbox` for its worker, and `changes` for the edges
hints.py          The hints in the inbox
leases.py         Exclusive, expiring ownership of partitions, with the fencing token that proves it
handovers.py      The handover from an owner that shuts down cleanly to the next owner of its partition
workers.py        The table of workers: the live workers, the partitions of each, and the cost of each partition
interest.py       The names that the suites of each edge watch
subscriptions.py  The relay's subscriptions at Graph: the route, secret and users of each
enforcement.py    Marks of changed watching permissions, until the worker has enforced them
explanations.py   Questions about data that is only in the memory of processes, and their answers
connected.py      The suites with open streams, for the pages of a tenant
push.py           The number of users of each tenant with push, for operators
"""
