"""Change notifications for presence, as Graph sends them to a webhook.

    a presence changes ──► notifier ──► faults ──► delay ──► delivery ──► POST notificationUrl
                              │                                 │ 2xx in time: delivered
        subscriptions ◄───────┘                                 └ else repeated for up to four hours
          expire, are renewed, ask to be reauthorised ────────► POST lifecycleNotificationUrl

    notifier.py       the entry point: takes changes and requests, and schedules notifications
    subscriptions.py  all subscriptions, by id and by person, with their expiry
    subscription.py   one subscription and one notification: the values that the others share
    delivery.py       batches, POSTs and repetitions
    endpoints.py      the state of an endpoint, from its answers: normal, slow or drop
    client.py         the HTTP client, and the handshake with a new URL
    items.py          one notification as JSON, and the POST that contains several
    crypto.py         certificates and encrypted content
    tokens.py         validation tokens
    dates.py          the world's seconds as dates
    faults.py         injected faults: silence, loss, duplicates, delays, forgeries
    sent.py           the log of POSTs and its counts

Subscriptions live an hour at most, so they end with the process and are not part of the stored state. Their lifetimes,
delays, repetitions and an endpoint's ten-minute windows follow the world's clock, so that a scaled clock shortens them and a
step passes them; only an endpoint's time limit to answer is real time.
"""
