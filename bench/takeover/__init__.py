"""How soon partitions have an owner that reads, by how far away Redis is.

run.py      a worker is started, killed and stopped in order
lagging.py  a TCP way that takes time, as one to another region does
"""
