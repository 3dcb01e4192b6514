"""Scaling of workers: twice the workers poll twice the users.

run.py   one, two and four workers, with a proportional number of tenants
"""
