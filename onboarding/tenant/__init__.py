"""The tenant's page: after signing in, the people of a connected organisation see its status and change its settings.

    routes.py             all routes, Microsoft's answers, and pages for visitors without access
    views/                the views, a module for each section
    auth.py               authentication and authorisation of every request
    access.py             rights
    sign_ins.py           sign-ins at Microsoft: identity, a new consent, the password once more
    reauthentication.py   actions that cannot be undone
    sessions.py           sessions of people who signed in
    services.py           the services that the views share
    layout.py             the layout that the pages share
    flash.py              messages about the last step, shown once
    proving.py            tests a new grant before it is stored
    key_issuing.py        makes and rotates suite keys
    setting_forms.py      the forms of the settings
    log_exports.py        downloads of the audit log

    no session ──SIGN IN──► Microsoft ──► callback ──► session ──► the page and its forms ──SIGN OUT──► no session
                            openid,       the browser   30 minutes idle,
                            profile       that asked    8 hours at most

The tenant is always the `tid` of the id token that began the session; no address, field or header selects another. Rights are
read again for each request, so a withdrawn grant gives no access from then on.
"""
