"""The local Microsoft cloud: the CPU of bulk reads of 650, beside a bare server that returns the same bytes.

run.py    reads from one client, as many as it can, and the CPU for each
serve.py  the two servers, each in a process of its own
"""
