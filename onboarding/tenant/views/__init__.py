"""The routes of the tenant's page, a module for each section.

sign_in.py       signing in and out, and the answers that come back from Microsoft
accounts.py      the overview and the accounts that read for the tenant
people.py        who manages the tenant, and requests for access
suites.py        phone suites and their keys
diagnostics.py   watched users, the connection to Microsoft, one user
settings.py      the tenant's settings
audit_log.py     the audit log, as a page and as a file
leaving.py       deleting the tenant
"""
