"""The path from a consent to a stored grant, shared by the pages, the commands and `dev`.

    graph.auth.consent ──NewGrant──► prove ──ProvenGrant──► admit ──► the vault, and a hint to the worker

prove.py          tries a new grant: refreshes it, reads presence
admit.py          stores a proven grant, by one of three rules: for the operator, an applicant, a manager
by_hand.py        onboarding from the command line, with a browser on this machine
loopback.py       receives the answer of a sign-in on this machine, at `http://localhost:…`
account_names.py  finds an account by name in its tenant's directory, with the tenant's consent
unsubscribe.py    deletes the subscriptions of grants that are no longer stored
patience.py       the time limit for Microsoft while a person waits, and retries within it

The pages add HTTP and texts. docs/develop/one-consent.md lists every function on this path.
"""
