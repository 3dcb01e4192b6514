"""The operator's console: a separate site on an internal address, built on the package `pages`.

    app.py           the ASGI application, and the server
    settings.py      the address, and who may sign in
    sessions.py      sessions of operators
    sign_ins.py      sign-ins at Entra, and the silent sign-ins that check a role again
    auth.py          authentication and authorisation of every request
    cookies.py       the names of its cookies
    layout.py        the layout of its pages: sections, and the operator
    messages.py      messages about the last step
    services.py      what the views share
    troubles.py      the problems of a tenant, and their remedies
    names.py         names of states, acts and events
    views/           the pages

    browser ── token or Entra ──► session ── every request: still valid? role checked recently? ──► view ──► use case, read model

It has its own host name, separate from the public one, and refuses requests for any other. An operator sees everything, and may
make all changes unless their role is read-only. Therefore it checks the role at Entra again after some minutes, and logs each act
with its author. Like the commands, it reads through `relay.diagnosis` and makes changes through `relay.administration`.
"""
