"""From a consent to a grant that is kept, for the pages, the commands and `dev`.

account_names.py  The account behind a name, in a tenant's own directory and with the tenant's own consent
admit.py          Admission of a tenant: what happens between a consent and the first poll
by_hand.py        Onboarding from the command line: the real authorization code flow, for a person with a browser on this machine
loopback.py       Takes the one answer of a sign-in on this machine: the browser posts it to `http://localhost:…`
prove.py          A new consent is tried before it is kept: its refresh token gives an access token, and that reads presence
"""
