"""A whole relay of real processes, on which seeded faults of everything meet, and the verdict on what came of it; README.md is its record.

    suites ──► lines ──► edges ──┐
    webhooks, workers ───────────┴──► lines ──► Redis in one of three topologies
        └──► lines ──► the local cloud (Graph, Entra) ──► line ──► webhooks

    record.py      what happens in a run, a line of JSON each        validators/   a function from the record to faults for each guarantee
    history.py     what there was to see, of a record                view.py       what a suite shows, replayed from a record
    processes.py   the relay's processes and the local cloud         servers.py    one Redis server: its line and its troubles
    replicated.py  Redis with Sentinel, and a cluster                topologies.py all three by name
    clocks.py      a time of day that goes wrong for one process     weakened.py   a process that breaks a rule
    scene.py       tenants, suites and people of every run           console.py    a suite with the real client
    schedule.py    seed -> which faults meet                         troubles.py   carries them out
    custodian.py   writes custody all the while                      lives.py      rules over the journal of subscriptions
    run.py         waves of faults, calms, and the verdict
    town.py        fifty tenants and a hundred suites                scenarios.py  what operators are promised, measured there
    updating.py    a rolling update from an earlier commit's code, as the chart does it

`python -m tests.chaos SEED…` runs seeds alone; `tests/soak` sends schedules of troubled notifications through the same parts.
"""
