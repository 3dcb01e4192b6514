"""Tenants and grants: their life, and what Microsoft's refusals mean for them.

grants.py           Grants: what a refusal of Entra's means, how a grant fares, and which of several is used
microsoft_error.py  Microsoft's own words of a refusal: kept for people, bounded, with secrets masked
tenant.py           The life of a tenant, as pure transitions
values.py           The values of a consent on its way to a kept grant
"""
