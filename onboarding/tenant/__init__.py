"""The tenant's page: what a connected organisation's people see and decide, after signing in with Microsoft.

    routes.py            the routes put together, and Microsoft's answers to sign-ins
    views/               the views, a module for each section
    auth.py              authentication and authorisation of every request
    access.py            the rights that a visitor has
    sign_ins.py          sign-ins at Microsoft: who somebody is, a new consent, the password once more
    reauthentication.py  actions that cannot be undone, after the password was typed again
    trying.py            proves a new grant, with refusals as problems of the page
    sessions.py          who is signed in where, and until when
    cookies.py           the two cookies
    services.py          the services that the views share
    layout.py            the layout that the pages share
    flash.py             messages about the last step, shown once
    key_issuing.py       suite keys made and rotated
    log_exports.py       downloads of the audit log
    setting_forms.py     the forms of the settings
    mapping_form.py      the form of the presence mapping

    no session ──SIGN IN──► Microsoft ──► callback ──► session ──► the page and its forms ──SIGN OUT──► no session
                            openid,       the browser   30 minutes idle,
                            profile       that asked    8 hours at most

The tenant is the `tid` of the id token that began the session, and nothing else: no address, field or header names one. What
somebody may do is looked at anew with each request, so a grant that was withdrawn opens nothing from then on.
"""
