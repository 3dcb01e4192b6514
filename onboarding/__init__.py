"""Onboarding: the pages on which an administrator lets the relay read an organisation's presence.

    app.py              routes put together, and the server
    wizard/             onboarding of an organisation that is not connected yet
    tenant/             the page of a connected tenant, behind a sign-in
    middleware.py       checks of every request, and the headers of every response
    rate_limit.py       limits on how often one network may ask
    cookies.py          cookies of this host alone
    browser_secrets.py  secrets that a browser holds, and those that follow from them
    forms.py            forms as they arrive
    text_fields.py      lines of text that people type, checked
    layout.py           renders the templates
    problems.py         problems in the words of the page's reader
    dates.py            instants, spans and numbers as the pages show them
    status_names.py     names of console statuses
    settings.py         addresses and limits of the pages

    1 organisation ──► 2 permission ──► Microsoft ──► is this the account? ──yes──► 3 proof ──► suite key, once
             a flow in Redis,        code, PKCE,   the consent is     tenant and grant in one write,
             15 minutes, sealed      nonce         in the flow        the key in a second one

A process holds nothing between two requests, so any replica serves any step, and one that dies costs a click. Until
the proof succeeded there is only the flow, which goes by itself. A flow is no session of an account: it has cookies of its
own, made with it. Somebody is "signed in" on the tenant's page only.
"""
