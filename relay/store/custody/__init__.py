"""Custody: data that cannot be read again from Graph. A write is acknowledged when it is on disk.

writes.py             Durable writes: a script, its confirmation, and the hint for the worker
tenants.py            Tenant records and their settings
admissions.py         Admission of a tenant: its record and its grant in one step
vault.py              Grants, encrypted and versioned
metrics.py            Metrics of custody
suite_keys.py         Suite keys: the bearer credentials of suites
suite_key_records.py  Suite keys as texts and as records
marking.py            The marks of all suite keys in force: counted, made once, and renewed by a rotation
managers.py           The managers of a tenant
access_requests.py    Requests of accounts to read for a tenant that is already connected
sign_ups.py           Limits on tenants that sign up without an invitation
turned_away.py        Tenants that the operator removed or refused
audit.py              The audit log of each tenant
operator_log.py       The acts of operators on all tenants, in order of time
notices.py            Notices, from the step that causes them until they are sent
emails.py             E-mails about what happened to a tenant, written as notices
refusal_records.py    Microsoft's refusals in the records of grants and tenants
reseal.py             All sealed values: counted by key, and re-encrypted under the key in use
proxies.py            The last time that the pages received a request through a proxy that no setting names
"""
