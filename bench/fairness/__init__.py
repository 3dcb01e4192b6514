"""Freshness of small tenants next to one noisy neighbour: each kind of neighbour in turn, with and without it, in one run.

run.py         the rounds, the tables, the verdict
freshness.py   the measurements, and their comparison
neighbours.py  the neighbours: the size, activity and faults of each
suite.py       the suite of a neighbour, in a separate process
"""
