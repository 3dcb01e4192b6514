"""Tenants and grants: their states, and what Microsoft's refusals mean for them.

grants.py           The health of grants: how refusals change it, and which of several grants is used
microsoft_error.py  Microsoft's own words of a refusal: kept for people, bounded, with secrets masked
refusals.py         Refusals of Entra and Graph in plain words, and who must act
tenant.py           The states of a tenant, as pure transitions
values.py           The values of a consent on its way to a kept grant
"""
