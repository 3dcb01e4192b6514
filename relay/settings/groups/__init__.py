"""The settings themselves, in groups by subject: names, meanings, defaults with their reasons, and checks.

A group reads and checks its variables; it does not build the settings of a role. `load` reads all groups, and the table
in the documentation is generated from them.

alerts.py   e-mail to administrators and the operator, signed notices
cloud.py    the Microsoft cloud, the app registration and its credentials
console.py  the operator's console, and who may sign in to it
edge.py     the address for suites, and their limits
http.py     limits on peers of the pages and the webhook
ops.py      logs, the ops port, telemetry
reading.py  how often users are read, subscriptions, how workers share tenants
store.py    Redis or Valkey with presence, and the server with custody
web.py      the pages where tenants are onboarded and managed
webhook.py  the address for Graph's change notifications, and their certificates
"""
