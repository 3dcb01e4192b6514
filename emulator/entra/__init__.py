"""Entra ID: discovery, keys, authorize, admin consent, token, device code, sign-out.

service.py        routes requests; reads the tenant from the path
discovery.py      the discovery documents and the key documents
authorize.py      the authorize endpoint: a request for a code or tokens, to its end
admin_consent.py  the admin consent endpoint: consent for a whole tenant
token.py          the token endpoint: codes, refresh tokens, client credentials
device.py         the device code flow: devices without a browser
delegated.py      tokens on behalf of a user, and by password alone
signin.py         the steps of a sign-in: account, password, second factor
signout.py        the end of a browser's session
sessions.py       browser sessions: the accounts signed in in one browser
flows.py          sign-ins under way, authorization codes, devices that wait

directory.py      the operations of administrators: consents, revocations, policies, keys
consents.py       the rules of consent: what is missing, and who may give it
grant_checks.py   the checks of a grant before tokens are issued for it
credentials.py    the credentials of applications: secrets and signed assertions
scopes.py         scopes as applications write them, and Graph's permissions
national.py       refusals of tenants in another of Microsoft's clouds

issuing.py        the answer to a token request: which tokens, for which scopes
tokens.py         the maker and reader of access, id and refresh tokens
keys.py           the signing keys, their rotation and public form
parameters.py     the parameters of a request, each at most once
pages.py          the pages that people see, from templates/
replies.py        the ways back to the application: redirect or form
refusals.py       every AADSTS error that is used; deaths.toml has those of grants
"""
