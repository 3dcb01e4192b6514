"""The key ring, its signatures, and short-lived values that are sealed under it.

keyring.py         The keys that custody is encrypted with: a JWK set of which one encrypts and all decrypt
ring_file.py       A key ring that follows its file, and how private files are written
ring_users.py      The keys that each process has, so that none is retired that is still in use
signing.py         Signatures by the holder of the key ring
marks.py           The mark of a suite key's record, which proves that the holder of the key ring made it
jwks.py            JWK sets as files contain them
short_lived.py     Flows of browsers, sign-ins and sessions: sealed, with an expiry
quotas.py          Limits on the number of short-lived values of one kind
invitations.py     Links with which somebody else begins an onboarding
notify_secrets.py  The secrets with which notices to a tenant's own systems are signed
"""
