"""The operator's console: pages of its own, on an address inside, made of the kit in `pages`.

    app.py           the ASGI application, and the server
    settings.py      the address, and who may sign in
    sessions.py      sessions of operators
    sign_ins.py      sign-ins at Entra, and the silent ones by which a role is looked at again
    auth.py          lets operators in, request by request
    cookies.py       the names of its cookies
    layout.py        the layout of its pages: sections, and the operator
    messages.py      these messages
    services.py      what the views share
    troubles.py      what is wrong with a tenant, and what to do
    names.py         names of states, acts and events
    views/           the pages

    browser ── token or Entra ──► session ── every request: still there? role looked at lately? ──► view ──► use case, read model

It is served under a name that is not the public one, and refuses every other. Whoever is let in sees everything, and
changes what it offers unless their role is for reading; so it asks Entra again after some minutes, and each act is logged with its author. What it shows comes from
`relay.diagnosis`, what it does from `relay.administration`, as for the commands.
"""
