"""The kit of all web pages: what a site is made of, whoever opens it.

Two sites are made of it, `onboarding` for tenants and `console` for operators. It has mechanism and no state: addresses, cookies'
names, sessions, rights and views belong to the site, so nothing that one site knows opens the other.

    site.py              a site as an ASGI application
    serving.py           serves a site
    settings.py          the settings of every site: address, the operator's name, limits
    middleware.py        checks of every request (host, size, time, rate), and the headers of every response
    rate_limit.py        limits on the requests of one network
    error_pages.py       exception handlers that answer with a problem page
    problems.py          the problems that pages can show: what happened, and what to do next
    layout.py            renders templates
    language_switch.py   the form that chooses the language

    forms.py             forms as they arrive
    first_forms.py       forms that belong to no flow and no session yet
    text_fields.py       lines of text that people type, checked
    mapping_form.py      the form of the presence mapping
    cookies.py           cookies of this host
    browser_secrets.py   the secrets in cookies, and the tokens that follow from them

    door.py              the way in and out of a site behind a sign-in
    pending_sign_ins.py  sign-ins that Microsoft has not answered yet
    session_store.py     sessions of signed-in people, sealed in Redis
    visitor_layout.py    the layout of pages behind a sign-in
    flashes.py           messages about the last step, for the next page

    audit_names.py       names of the audit log's events and authors
    status_names.py      names of console statuses
    tones.py             words and tones of users and connections
    dates.py             formats of times, durations and numbers

    static/              style sheet and scripts
    templates/           the layout, and the parts that templates of sites are made of
"""
