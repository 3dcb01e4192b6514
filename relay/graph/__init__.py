"""Microsoft's side: everything that knows Graph, Entra, httpx and msal.

    settings.py  the addresses of Microsoft's cloud, and how the relay identifies itself there
    client.py    one HTTP client for all tenants: tokens, limits, timeouts, sizes
    lanes.py     places for calls, of which slow ones cannot take all
    metrics.py   the metrics of calls, and the operation that each is counted under
    spans.py     the spans of calls
    errors.py    Microsoft's refusals, translated into the relay's errors
    auth/        Entra: consent, credentials, access tokens, verification of what Entra signs
    presence/    bulk reads of presence, users and organisations
    push/        change notifications: subscriptions, certificates, contents, validation

Graph's JSON stops here: results are values of `relay.core`.
"""
