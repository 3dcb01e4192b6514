"""Work grows in step: twice the workers poll twice the users.

run.py   one, two and four workers beside as many times the tenants
"""
