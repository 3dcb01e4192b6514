"""One suite's stream.

stream.py   its lifecycle, and its suite's requests
lookups.py  snapshots of the names that it watches
sender.py   the one task that sends all responses
traced.py   the spans of its writes
clocks.py   its times: progress, age, drain, blocked writes (pure)
ending.py   its end, with one reason
"""
