"""Change notifications, from the change of a person in the local cloud to the suite that shows it.

    recorder.py   a suite in a process of its own that notes what it is shown, and when
    judge.py      what was shown beside what was so, pure
    cloud.py      the local cloud's changes, requests and subscriptions, as its control tells them
    latency.py    how soon a change is shown
    day.py        a day of 2,000 users: requests and ages, beside polling
    trouble.py    lost notifications for hours, and silence

A day takes a day. `day` and `trouble` are to be run by a clock that goes faster for all processes together, for which
Debian's `faketime` serves: `faketime -m -f '+0 x60' python -m bench push-day`. All times are the clock's then, and what a
machine takes for its work counts sixtyfold.
"""
