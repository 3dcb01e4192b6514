"""The one way from a consent to a kept grant, for the pages, the commands and `dev`.

    graph.auth.consent ──NewGrant──► prove ──ProvenGrant──► admit ──► the vault, and a hint to the worker

prove.py          tries a new grant: refreshes it, reads presence
admit.py          keeps a proven grant, by three rules: for the operator, an applicant, a manager
by_hand.py        onboarding from the command line, with a browser on this machine
loopback.py       receives the answer of a sign-in on this machine, at `http://localhost:…`
account_names.py  finds the account of a name, in a tenant's own directory and with its own consent
unsubscribe.py    ends the subscriptions of grants that are no longer kept
patience.py       how long people wait for Microsoft, and the repetition of requests meanwhile

The pages add HTTP and words; docs/develop/one-consent.md names every function that a consent passes.
"""
