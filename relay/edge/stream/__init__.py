"""One suite's stream.

stream.py   its life, and its suite's requests
lookups.py  snapshots of the names that it watches
sender.py   everything that it sends, by one task
traced.py   the spans of its writes
clocks.py   its times: progress, age, drain, blocked writes (pure)
ending.py   its end, for one reason
"""
