"""Change notifications, from the change of a person in the local cloud to the suite that shows it.

    recorder.py   a suite in a process of its own that notes what it is shown, and when
    judge.py      what was shown beside what was so, pure
    cloud.py      the local cloud's changes, requests and subscriptions, as its control tells them
    latency.py    how soon a change is shown
    day.py        a day of 2,000 users: requests and ages, beside polling
    trouble.py    lost notifications for hours, and silence

A day takes a day, so `day` and `trouble` are run by a clock that goes faster for all processes together: see `bench.faster`.
All their times are that clock's, and what the machine takes for its work counts as many times.
"""
