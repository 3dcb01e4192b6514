"""What cannot be read again: each write is acknowledged when it is on disk.

access_requests.py  Requests to read for a tenant that is connected: a consent that waits, sealed, for a yes of those who look after the tenant
admissions.py       Admission of a tenant: its record and its grant in one step. Custody: acknowledged means on disk
audit.py            The audit log of each tenant: two streams beside its record, at custody's server
emails.py           Letters: who is told by e-mail of what happened to a tenant. Beside the deed, never in its way
managers.py         Who looks after a tenant: its managers, by object id. Custody: acknowledged means on disk
marking.py          All suite keys in force and their marks: who has which, who has none, and how marks are made once and made anew
notices.py          Notices: what a tenant's people or the operator are to be told, from the step that makes it true until it was told
proxies.py          Whether the pages met a proxy that nobody named, for `presence-relay check` in another process. No custody
refusal_records.py  Refusals of Microsoft's in the records of grants and tenants
reseal.py           All that is sealed under the key ring, wherever it is: counted by key, and moved to the key in use while it is in use
sign_ups.py         How many tenants come by themselves: a bound for an hour, and one on those that wait. At custody's server
suite_keys.py       Suite keys: the bearer credentials of suites, `psk_<key id>_<secret>`
tenants.py          Tenant records. Custody: acknowledged means on disk
turned_away.py      Tenants that the operator turned away: removed, or refused. Custody: acknowledged means on disk
vault.py            The vault: grants, encrypted and versioned. Custody: acknowledged means on disk
writes.py           Durable writes: a script on the vault's connection, its confirmation, and the hint that tells the worker
"""
