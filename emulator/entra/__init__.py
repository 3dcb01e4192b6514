"""Entra ID: discovery, keys, authorize, token.

service.py    routes; the tenant segment                    refusals.py  every AADSTS error that is used, as data
authorize.py  sign-in and consent, one step a form          pages.py     the pages and their templates
token.py      code and refresh token redeemed               credentials.py  how an application proves itself
codes.py      authorization codes and flows under way       scopes.py    Graph's delegated permissions
keys.py       the signing key                               tokens.py    id, access and refresh tokens
"""
