"""Entra: consents, access tokens, and the verification of what Entra signs.

consent.py       the authorization code flow with PKCE and nonce, through MSAL
credentials.py   the relay's own credentials at Entra: one, or two during a rotation
applications.py  MSAL applications, on an HTTP session that refuses answers that MSAL cannot handle
tokens.py        access tokens of grants, through MSAL in threads
id_tokens.py     verifies the id token that Entra gives with a consent
jwt.py           JSON Web Tokens that Entra signed: no claim counts before the signature does
signing_keys.py  Entra's signing keys, cached
"""
