"""Alerts to administrators: by e-mail, and by a signed POST to an address of their own.

    sender.py         sends the store's notices, once on each channel, with retries for a day
    consent_event.py  a consent that ended or works again, and the body of the POST
    texts.py          subjects and texts of the e-mails, in the reader's language
    email.py          e-mail by SMTP
    hook.py           the signed POST
    signature.py      signatures of the Standard Webhooks specification
    addresses.py      the addresses that a tenant may name: nothing inside the relay's own network
    metrics.py        what was sent, and what waits
    settings.py       mail server, addresses, retries

Only `sender` keeps anything or repeats anything.
"""
