"""Alerts to administrators: by e-mail, and by a signed POST to an address that they choose.

    sender.py         sends the store's notices, once on each channel, with retries for a day
    consent_event.py  the event that a consent ended or works again, and the body of the POST
    texts.py          subjects and texts of the e-mails, in the reader's language
    email.py          e-mail by SMTP
    hook.py           the signed POST
    signature.py      signatures of the Standard Webhooks specification
    addresses.py      the addresses that a tenant may name: nothing inside the relay's own network
    metrics.py        notices sent, and notices that wait
    settings.py       mail server, addresses, retries

Only `sender` has state and retries.
"""
