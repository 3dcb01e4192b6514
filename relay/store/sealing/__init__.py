"""The key ring, its signatures, and short-lived values that are sealed under it.

keyring.py         The keys that encrypt custody: a JWK set in which one key encrypts and all decrypt
ring_file.py       A key ring that follows its file, and how private files are written
ring_users.py      The keys that each process has, so that no key is retired while it is in use
signing.py         Signatures by the holder of the key ring
marks.py           The mark of a suite key's record, which proves that the holder of the key ring made it
jwks.py            JWK sets as files contain them
short_lived.py     Flows of browsers, sign-ins and sessions: sealed, with an expiry
quotas.py          Limits on the number of short-lived values of one kind
invitations.py     Invitation links that start the onboarding of a tenant
notify_secrets.py  The secrets that sign notices to a tenant's own systems
"""
