"""The time until partitions have an owner that reads, for several round-trip times to Redis.

run.py      starts, kills and cleanly stops workers
lagging.py  a TCP proxy with a delay, like a connection to another region
"""
