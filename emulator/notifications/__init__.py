"""Change notifications for presence, as Graph sends them to a webhook.

    a presence changes ──► notifier ──► faults ──► delay ──► delivery ──► POST notificationUrl
                              │                                 │ 2xx in time: delivered
        subscriptions ◄───────┘                                 └ else repeated for up to four hours
          expire, are renewed, ask to be reauthorised ────────► POST lifecycleNotificationUrl

    notifier.py       the way in: takes changes and requests, and times what is sent
    subscriptions.py  all subscriptions, by id and by person, with their expiry
    subscription.py   one subscription and one notification: the values that the others share
    delivery.py       batches, POSTs and repetitions
    endpoints.py      the state of an endpoint by its answers: normal, slow or drop
    client.py         the HTTP client, and the handshake with a new URL
    items.py          one notification as JSON, and the POST that holds several
    crypto.py         certificates and encrypted content
    tokens.py         validation tokens
    dates.py          the world's seconds as dates
    faults.py         faults made to order: silence, loss, duplicates, delays, forgeries
    sent.py           the log of POSTs and its counts

Subscriptions live an hour at most, so they die with the process and are no part of the kept state. Minutes of their lives,
delays, repetitions and an endpoint's ten-minute windows are the world's, so that a scaled clock shortens them and a step
passes them; only what an endpoint is given to answer is real time.
"""
