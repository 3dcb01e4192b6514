"""The web pages of the relay: the wizard that connects an organisation, and the page of a connected one.

The modules beside `wizard` and `tenant` are the kit of all pages; the operator's console (`console`) is made of it too.

    app.py               the ASGI application, and the server
    wizard/              the wizard: organisation, permission, check, suite key
    tenant/              the tenant's page, behind a sign-in
    serving.py           serves a site of pages, this one or the console
    error_pages.py       exception handlers that answer with a problem page
    language_switch.py   the form that chooses the language
    session_store.py     sessions of signed-in people, sealed in Redis
    flashes.py           messages about the last step, for the next page
    mapping_form.py      the form of the presence mapping
    middleware.py        checks of every request (host, size, time, rate), and the headers of every response
    rate_limit.py        limits on the requests of one network
    layout.py            renders templates
    audit_names.py       names of the audit log's events and authors
    forms.py             forms as they arrive
    text_fields.py       lines of text that people type, checked
    cookies.py           cookies of this host
    browser_secrets.py   the secrets in cookies, and the tokens that follow from them
    problems.py          the problems that pages can show: what happened, and what to do next
    status_names.py      names of console statuses
    metrics.py           how onboardings end, for metrics
    spans.py             the spans of an onboarding
    tones.py             words and tones of users and connections
    dates.py             formats of times, durations and numbers
    settings.py          addresses, the operator's name, and limits
    identity_association.py  the file by which Microsoft verifies the publisher's domain

    1 organisation ──► 2 permission ──► Microsoft ──► use this account? ──yes──► 3 check ──► suite key, once
             a flow in Redis,        code, PKCE,   the consent is      tenant and grant in one write,
             15 minutes, sealed      nonce         in the flow         the key in a second one

A process holds nothing between two requests, so any replica serves any step, and one that dies costs a click. Until the check
succeeded there is only the flow, which expires by itself. A flow is not a session: it has cookies of its own, made
with it. Only the tenant's page has signed-in users.
"""
