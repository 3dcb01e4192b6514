"""The web pages for tenants: the wizard that connects an organisation, and the page of a connected one. Made of the kit in `pages`.

    app.py               the ASGI application, and the server
    wizard/              the wizard: organisation, permission, check, suite key
    tenant/              the tenant's page, behind a sign-in
    cookies.py           the names of cookies
    metrics.py           how onboardings end, for metrics
    spans.py             the spans of an onboarding
    settings.py          addresses, limits, and who may sign up
    identity_association.py  the file by which Microsoft verifies the publisher's domain

    1 organisation ──► 2 permission ──► Microsoft ──► use this account? ──yes──► 3 check ──► suite key, once
             a flow in Redis,        code, PKCE,   the consent is      tenant and grant in one write,
             15 minutes, sealed      nonce         in the flow         the key in a second one

A process holds nothing between two requests, so any replica serves any step, and one that dies costs a click. Until the check
succeeded there is only the flow, which expires by itself. A flow is not a session: it has cookies of its own, made
with it. Only the tenant's page has signed-in users.
"""
