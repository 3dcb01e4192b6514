"""The grants of one tenant, and which of them reads.

pool.py  The grants of one tenant as a pool: any healthy one reads, and when it dies the next goes on
"""
