"""Freshness of small tenants beside one noisy neighbour: each kind of neighbour in turn, with and without it, in one run.

run.py         the rounds, the tables, the verdict
freshness.py   what is measured, and how it is compared
neighbours.py  the neighbours: what each of them has, does and meets
suite.py       the suite of a neighbour, in a process of its own
"""
