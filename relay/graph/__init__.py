"""Microsoft's side: all code that uses Graph, Entra, httpx and msal.

    settings.py  the addresses of Microsoft's cloud, and how the relay identifies itself there
    client.py    one HTTP client for all tenants: tokens, limits, timeouts, sizes
    lanes.py     limits concurrent calls, so that slow ones cannot take all places
    metrics.py   the metrics of calls, and the operation that each counts as
    spans.py     the spans of calls
    errors.py    Microsoft's refusals, translated into the relay's errors
    auth/        Entra: consent, credentials, access tokens, verification of what Entra signs
    presence/    bulk reads of presence, users and organisations
    push/        change notifications: subscriptions, certificates, contents, validation

Graph's JSON does not leave this package: results are values of `relay.core`.
"""
