"""The wire's rules under random schedules: the real `relay.core.watching.watch`, with a small model of all that is around it.

    graph ──► workers ──► store ──► edges ══ streams (the real `Watch`) ══► suites

    rules.py     what a test may break, and what a broken guarantee is
    store.py     one partition in Redis, and the replica that a failover promotes
    workers.py   what people and names are at Graph, and the workers that read them
    edges.py     hubs that lag, streams of both forms, snapshots on their way
    suites.py    what a suite keeps, sends and may call held
    world.py     all of them together, and what can happen
    schedule.py  how a seed draws steps, coming to rest, the verdict
    weakened.py  every rule, broken

Beside it, each a small world of its own with the rules that it breaks:

    push.py      notifications, polls and two workers
    late.py      one owner's writes, whose replies and requests come late
    interest.py  what edges watch, read while it changes
    contact.py   how fresh presence is called, by owners that take over and edges that are joined
    sharing.py   workers that come and go, each by the rules of sharing

A presence is its version: a number per user that only grows at Graph.
"""
