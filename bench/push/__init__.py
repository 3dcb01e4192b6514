"""Change notifications, from the change of a person in the local cloud to the suite that shows it.

    recorder.py   a suite in a separate process that records each presence with its time
    judge.py      the ages of changes: the shown presence compared with the real one
    cloud.py      the local cloud's changes, requests and subscriptions, as its control surface shows them
    latency.py    the time until a change is shown
    day.py        a day of 2,000 users: requests and ages, compared with polling
    trouble.py    hours with lost notifications, and silence

`day` and `trouble` simulate hours, so they run with a faster clock that all processes share: see `bench.faster`.
All their times are that clock's. Real computing time is multiplied by the same factor.
"""
