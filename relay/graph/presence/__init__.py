"""Reads of Graph: presence, users and organisations.

directory.py     Names -> users: object ids and canonical UPNs, read from Graph's users
organisation.py  What Microsoft says of an organisation as such: whose a domain is, and who some of its users are
presences.py     Bulk reads of presence: Graph's `getPresencesByUserId`
"""
