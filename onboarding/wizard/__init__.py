"""The wizard: an organisation that is not connected yet gives its consent and gets its suite key.

views.py          the routes: one view for each page
steps.py          the steps, which read and write the flow; no HTTP
cookies.py        the cookies that tie a flow to its browser
flow.py           an onboarding in progress, as a value
fields.py         the fields of the first form, checked
domains.py        the tenant of a domain
eligibility.py    decides which tenants may connect
sign_ins.py       sign-ins at Microsoft
verification.py   the background task that verifies a new grant
checks.py         its checks: users, presence, one subscription
admission.py      writes the tenant, its grant and its suite key after the checks
"""
