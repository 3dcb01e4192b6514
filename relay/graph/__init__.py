"""Microsoft's side: everything that knows Graph, Entra, httpx and msal.

    settings    where Microsoft is and how the relay identifies itself
    client      one HTTP client for all tenants: tokens, limits, timeouts, sizes
    errors      what an answer that is no success means, in the relay's errors
    presences   bulk reads of presence
    directory   names -> object ids and canonical UPNs
    tokens      access tokens of grants, through MSAL in threads
    applications  MSAL applications on a guarded HTTP session
    consent     how a grant is obtained: the authorization code flow
    signing     Entra's signing keys, fetched seldom
    signed      tokens that Entra signed: whose they are
    idtokens    who consented: verification of the id token
    validation  whether a POST of notifications is Microsoft's

Graph's JSON stops here: what comes out are values of `relay.core`.
"""
