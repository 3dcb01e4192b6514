"""Alerts to administrators: by e-mail, and by a signed POST to an address of their own.

    addresses.py    Which addresses a tenant's receiver may have. The tenant chooses the host, so the relay must not be led to what only it reaches
    email.py        E-mail by SMTP. The standard library's client, in threads of its own: a mail is a rare event, and nothing waits for one
    email_texts.py  The letters: what somebody who looks after a tenant, or the operator, is told by e-mail of one thing that happened
    hook.py         The signed POST to a tenant's own address
    sender.py       Tells people what the store says is to be told, once for each channel, and until it is told or a day has passed
    settings.py     What the operator sets of telling administrators
    signature.py    Signatures of the Standard Webhooks specification, so that receivers can use its libraries: HMAC-SHA256, `v1`
    texts.py        What administrators are told: the e-mail in the tenant's language, and the body of the signed POST

Only `sender` keeps anything or tries twice.
"""
