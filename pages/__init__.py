"""The parts that all web sites of the relay share.

Two sites use it: `onboarding` for tenants and `console` for operators. It provides mechanisms and holds no state. Each site has its
own addresses, cookie names, sessions, rights and views, so a session of one site gives no access to the other.

    site.py              a site as an ASGI application
    serving.py           serves a site
    settings.py          the settings of every site: address, the operator's name, limits
    middleware.py        checks of every request (host, size, time, rate), and the headers of every response
    rate_limit.py        limits on the requests of one network
    error_pages.py       exception handlers that answer with a problem page
    problems.py          the problems that pages can show: what happened, and what to do next
    layout.py            renders templates
    language_switch.py   the form that chooses the language

    forms.py             checks the source of a form and parses its fields
    first_forms.py       forms without a flow or a session
    text_fields.py       checks and normalises lines of text that people type
    mapping_form.py      the form of the presence mapping
    cookies.py           cookies of this host
    browser_secrets.py   the secrets in cookies, and the tokens derived from them

    door.py              sign-in and sign-out of a site
    pending_sign_ins.py  sign-ins that Microsoft has not answered yet
    session_store.py     sessions of signed-in people, sealed in Redis
    visitor_layout.py    the layout of pages behind a sign-in
    flashes.py           messages about the last step, for the next page

    audit_names.py       names of the audit log's events and authors
    status_names.py      names of console statuses
    tones.py             labels and colours of users and connections
    dates.py             formats of times, durations and numbers

    static/              style sheet and scripts
    templates/           the layout, and the parts that templates of sites are made of
"""
