"""The whole relay as real processes, under seeded schedules of everything that goes wrong with change notifications.

    schedule.py   seed -> what happens when                     processes.py  Valkey, the local cloud, edge, workers, webhook
    run.py        carries a schedule out, heals, looks          lives.py      rules over the journal of subscriptions
    views.py      rules over what suites saw                    test_push.py  a few seeds, and the soak's fifty

`python -m tests.soak SEED…` runs seeds alone and says what happened.
"""
