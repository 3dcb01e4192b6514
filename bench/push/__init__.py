"""Change notifications, from the change of a person in the local cloud to the suite that shows it.

    recorder.py   a suite in a process of its own that records what it is shown, and when
    judge.py      the ages of changes: what was shown, compared with the truth
    cloud.py      the local cloud's changes, requests and subscriptions, as its control surface shows them
    latency.py    the time until a change is shown
    day.py        a day of 2,000 users: requests and ages, beside polling
    trouble.py    hours with lost notifications, and silence

`day` and `trouble` take hours, so they run by a faster clock that all processes share: see `bench.faster`.
All their times are that clock's, and the machine's own computing time counts as many times.
"""
