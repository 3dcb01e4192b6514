"""The tenant's page: what a connected organisation's people see and decide, after signing in with Microsoft.

    views.py        one function a route
    door.py         who is in front of the page, and for which tenant; the one way in for every view
    access.py       who may open the page
    sign_in.py      the ways to Microsoft and back: who somebody is, and a new consent
    sessions.py     who is signed in where, and until when
    cookies.py      the two cookies

    no session ──SIGN IN──► Microsoft ──► callback ──► session ──► the page and its forms ──SIGN OUT──► no session
                            openid,       the browser   30 minutes idle,
                            profile       that asked    8 hours at most

The tenant is the `tid` of the id token that began the session, and nothing else: no address, field or header names one. What
somebody may do is looked at anew with each request, so a grant that was withdrawn opens nothing from then on.
"""
