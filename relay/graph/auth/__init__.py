"""Entra: how a grant is obtained, access tokens, and the verification of what Entra signs.

applications.py  MSAL applications: the relay as a client of Entra's, on an HTTP session that refuses what MSAL takes badly
consent.py       How a grant is obtained: the authorization code flow with PKCE and nonce, through MSAL
credentials.py   The relay's own credentials at Entra: one, or two while one takes the other's place
idtokens.py      Who consented: verification of the id token that Entra gave with a consent. MSAL does not verify it
signed.py        JSON Web Tokens that Entra signed, read so that nothing in one counts before its signature does
signing.py       Entra's signing keys, as its documents publish them; fetched seldom, and waited for only by those who need a new one
tokens.py        Access tokens of grants, through MSAL in threads
"""
