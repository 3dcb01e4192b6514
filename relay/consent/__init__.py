"""The one way from a consent to a kept grant, for the pages, the commands and `dev`.

    graph.auth.consent ──NewGrant──► prove ──ProvenGrant──► admit ──► the vault; the worker is told

prove.py          tries a new grant: refreshes it, reads presence
admit.py          keeps a proven grant, by who lets the account in
by_hand.py        onboarding from the command line, for a person with a browser on this machine
loopback.py       takes the one answer of a sign-in on this machine, at `http://localhost:…`
account_names.py  looks up the account behind a name, in a tenant's own directory and with its own consent
unsubscribe.py    ends the subscriptions of grants that are not kept any more
patience.py       how long people wait for Microsoft, and the repeats of their requests

The pages add HTTP and words; docs/develop/one-consent.md names every function that a consent passes.
"""
