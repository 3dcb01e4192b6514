"""The one catalogue of messages for pages and e-mails: `*.toml` contains every message in each language.

languages.py  reads the catalogue, translates, and finds the language of a request

alerts.toml          e-mails
console.toml         the operator's console
diagnostics.toml     watched users, the connection to Microsoft, one user
frame.toml           layout of all pages
refusals.toml        Microsoft's refusals
rights.toml          managers, accounts that read, requests for access
tenant.toml          the pages of a tenant
tenant_sign_in.toml  signing in to them
wizard.toml          onboarding
"""
