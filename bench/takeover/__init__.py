"""The time until partitions have an owner that reads, for several round-trip times to Redis.

run.py      a worker is started, killed and stopped in order
lagging.py  a TCP proxy with a delay, as of a way to another region
"""
