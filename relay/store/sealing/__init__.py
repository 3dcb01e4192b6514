"""The key ring: what is encrypted under it, what it signs, and short-lived values that are sealed under it.

invitations.py     Invitations: links that let somebody else begin an onboarding, for some days and once. Custody: acknowledged means on disk
jwks.py            JWK sets as files have them: `{"keys": [...]}`, with bytes as base64url without padding
keyring.py         The keys that grants are encrypted with: a JWK set of which one encrypts and all decrypt
marks.py           The mark of a suite key's record: who holds the key ring made it. Without one a record is worth nothing, whoever wrote it
notify_secrets.py  The secret that notices to a tenant's own systems are signed with, sealed among the tenant's settings
ring_file.py       A key ring that follows its file, and how private files are written
ring_users.py      Which processes have which keys: none is retired that somebody still seals with, no mark made that an edge cannot verify
quotas.py          How many short-lived values of one kind there may be at once, at custody's server
short_lived.py     Onboarding flows under way: short-lived, sealed, gone by themselves. No custody: whoever loses one starts again
signing.py         What the holder of the key ring signs, so that whoever writes to Redis, or has a public backup key, can forge none of it
"""
