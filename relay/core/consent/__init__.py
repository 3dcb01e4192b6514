"""Tenants and grants: their states, and what Microsoft's refusals mean for them.

grants.py           The health of grants: how refusals change it, and which of several grants is used
microsoft_error.py  Microsoft's text of a refusal: kept for people, limited in size, with secrets masked
refusals.py         Refusals of Entra and Graph in plain words, and who must act
tenant.py           The states of a tenant, as pure transitions
values.py           The values of a consent before and after it is stored as a grant
"""
