"""Onboarding: the pages on which an administrator lets the relay read an organisation's presence.

    app.py          routes put together, and the server
    tenant/         the page of a tenant that is connected, behind a sign-in
    views.py        one function a route: reads what was sent, takes a step, shows a page or sends the browser on
    steps.py        what the steps do, and in which order they write
    flow.py         an onboarding under way, as a value, and how it changes
    consent.py      the way to Microsoft and back
    trials.py       the proof at work: a task that writes how far it is, and whether it is alive
    proof.py        what is tried with a new grant: users, presence, one subscription
    admission.py    what is written once a grant is proven: tenant and grant, suite key
    forms.py        forms as they arrive
    fields.py       what people type, checked
    sessions.py     the cookies that tie a flow to a browser, and the tokens in forms
    problems.py     what went wrong, in the words of whoever reads the page
    guard.py        what holds for every request: host, size, time, pace, and the headers of every answer
    pace.py         how often one address may ask
    languages.py    English and Italian: which one, and what it says (`locale/`)
    dates.py        instants, spans and numbers as the pages say them
    words.py        what console statuses are called
    pages.py        templates rendered
    settings.py     where this is served, and what it is called

    1 organisation ──► 2 permission ──► Microsoft ──► is this the account? ──yes──► 3 proof ──► suite key, once
             a flow in Redis,        code, PKCE,   the consent is     tenant and grant in one write,
             15 minutes, sealed      nonce         in the flow        the key in a second one

A process holds nothing between two requests, so any replica serves any step, and one that dies costs a click. Until
the proof succeeded there is only the flow, which goes by itself. A flow is no session of an account: it has cookies of its
own, made with it. Somebody is "signed in" on the tenant's page only.
"""
