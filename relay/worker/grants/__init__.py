"""The grants of one tenant, and the choice of the one that reads.

pool.py     the grants as a pool: any healthy one reads, and when it dies the next one takes over
tokens.py   the access tokens of one call
records.py  the states of grants in the vault
"""
