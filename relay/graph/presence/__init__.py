"""Reads of Graph: presence, users and organisations.

directory.py     Resolves names to users: object ids and canonical UPNs, read from Graph's users
organisation.py  Reads an organisation itself: the tenant of a domain, and some of its users
presences.py     Bulk reads of presence: Graph's `getPresencesByUserId`
"""
