"""The grants of one tenant, and which of them reads.

pool.py     the grants as a pool: any healthy one reads, and when it dies the next goes on
tokens.py   the access tokens of one call
records.py  what became of grants, in the vault
"""
