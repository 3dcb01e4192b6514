"""Entra ID: discovery, keys, authorize, admin consent, token, device code, sign-out.

service.py        routes requests; reads the tenant from the path
discovery.py      the discovery documents and the key documents
authorize.py      the authorize endpoint: a request for a code or tokens, to its end
admin_consent.py  the admin consent endpoint: consent for a whole tenant
token.py          the token endpoint: codes, refresh tokens, client credentials
device.py         the device code flow: devices without a browser
delegated.py      tokens on behalf of a user, and by password only
signin.py         the steps of a sign-in: account, password, second factor
signout.py        the end of a browser's session
sessions.py       browser sessions: the accounts signed in in one browser
flows.py          sign-ins in progress, authorization codes, waiting devices

directory.py      the operations of administrators: consents, revocations, policies, keys
consents.py       the rules of consent: missing permissions, and who may consent
grant_checks.py   the checks of a grant before tokens are issued for it
credentials.py    the credentials of applications: secrets and signed assertions
scopes.py         scopes in requests, and Graph's permissions
national.py       refusals of tenants in another of Microsoft's clouds

issuing.py        the answer to a token request, with its tokens and scopes
tokens.py         the maker and reader of access, id and refresh tokens
keys.py           the signing keys, their rotation and public form
parameters.py     the parameters of a request, each at most once
pages.py          the pages for people, from templates/
replies.py        answers to the application: redirect or form
refusals.py       all AADSTS errors in use; deaths.toml has those of grants
"""
