"""One suite's stream.

stream.py   its life, and its suite's requests
lookups.py  snapshots of the names that it watches
sender.py   everything that it sends, by one task
clocks.py   its times: progress, age, drain, blocked writes (pure)
ending.py   its end, for one reason
"""
