"""The whole relay as real processes, under seeded schedules of what goes wrong: one sweep for change notifications, one for
processes, Valkey, the clouds and the lines between them.

    schedule.py   seed -> what happens when                     processes.py  Valkey, the local cloud, edge, workers, webhook
    run.py        carries a schedule out, heals, looks          lives.py      rules over the journal of subscriptions
    views.py      rules over what suites saw                    test_push.py  a few seeds, and the soak's fifty
    troubles.py   seed -> which faults meet                  chaos.py      carries them out over two edges, and judges
    test_chaos.py one bad moment, and the soak's hour

`python -m tests.soak [--chaos] SEED…` runs seeds alone and says what happened.
"""
