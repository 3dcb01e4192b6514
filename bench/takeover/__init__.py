"""The time until partitions have an owner that reads, by the round-trip time to Redis.

run.py      a worker is started, killed and stopped in order
lagging.py  a TCP way that takes time, as one to another region does
"""
