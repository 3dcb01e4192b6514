"""Seeded schedules of what goes wrong with change notifications, over a whole relay of real processes: the harness is `tests/chaos`.

    schedule.py   seed -> what happens when
    run.py        carries a schedule out, heals, looks
    test_push.py  a few seeds, and the soak's fifty

`python -m tests.soak SEED…` runs seeds alone and says what happened.
"""
