"""The web pages for tenants: the wizard that connects an organisation, and the tenant's page. Built on the package `pages`.

    app.py               the ASGI application, and the server
    wizard/              the wizard: organisation, permission, check, suite key
    tenant/              the tenant's page, behind a sign-in
    cookies.py           the names of cookies
    metrics.py           the metric of onboardings, by outcome
    spans.py             the spans of an onboarding
    settings.py          addresses, limits, and the policy for sign-ups
    identity_association.py  the file with which Microsoft verifies the publisher's domain

    1 organisation ──► 2 permission ──► Microsoft ──► use this account? ──yes──► 3 check ──► suite key, once
             a flow in Redis,        code, PKCE,   the consent is      tenant and grant in one write,
             15 minutes, sealed      nonce         in the flow         the key in a second one

A process keeps no state between two requests. Any replica serves any step, and if one dies, the user repeats one click. Until the
check has succeeded, only the flow exists, and it expires automatically. A flow is not a session: it has separate cookies, created
with it. Only the tenant's page has signed-in users.
"""
