"""The local Microsoft cloud: the CPU of bulk reads of 650, compared with a bare server that returns the same bytes.

run.py    reads from one client at its maximum rate, and the CPU for each
serve.py  the two servers, each in a separate process
"""
