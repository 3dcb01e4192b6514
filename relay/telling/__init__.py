"""Telling administrators what happened to their tenant: by e-mail, and by a signed POST to an address of their own.

    words.py        what the e-mail says, in the tenant's language
    mail.py         SMTP, in threads of its own
    hook.py         the signed POST (https://www.standardwebhooks.com)
    signature.py    its signature and its secret
    addresses.py    which addresses it may go to: the tenant chooses the host, so none of ours
    settings.py     the operator's settings

Nothing here keeps anything or tries twice: whoever calls knows what is told already and when to try again.
"""
