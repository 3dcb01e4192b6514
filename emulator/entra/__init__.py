"""Entra ID: discovery, keys, authorize, admin consent, token.

service.py        routes; the tenant segment             refusals.py    every AADSTS error that is used; deaths.toml
discovery.py      the documents                          parameters.py  a request's parameters, each once
national.py       tenants asked for at another cloud     scopes.py      Graph's permissions
authorize.py      a request for a code                   pages.py       the pages and their templates
admin_consent.py  a request for the whole tenant         replies.py     answers to the application
signin.py         account, password, second factor       sessions.py    who is signed in in which browser
consents.py       who may consent to what                codes.py       authorization codes
flows.py          sign-ins, codes and devices that wait, in memory
token.py          codes, refresh tokens, client itself   credentials.py how an application proves itself
alive.py          whether a grant still works            tokens.py      id, access and refresh tokens
keys.py           the signing keys                       issuing.py     what is given for a grant
signout.py        signing out                            device.py      devices without a browser
delegated.py      on behalf of somebody; passwords
directory.py      what administrators and time do to grants
"""
