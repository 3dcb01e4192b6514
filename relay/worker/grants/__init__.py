"""The grants of one tenant, and the choice of the grant that reads.

pool.py     the grants as a pool: one healthy grant reads, and when it dies the next one takes over
tokens.py   the access tokens of one call
records.py  the states of grants in the vault
"""
