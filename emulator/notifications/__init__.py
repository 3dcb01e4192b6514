"""Change notifications for presence, as Graph sends them to a webhook.

    a shown presence changes ──► notifier ──► faults ──► delay ──► delivery ──► POST notificationUrl
                                    │                                 │ 2xx in time: delivered
        subscriptions ◄─────────────┘                                 └ else repeated for up to four hours
          expire, are renewed, ask to be reauthorised ──────────────► POST lifecycleNotificationUrl

    subscriptions.py  who is subscribed to whom, until when             dates.py      the world's seconds as dates
    notifier.py       what is announced, when, to whom; the way in      faults.py     what goes wrong on purpose
    delivery.py       batches, POSTs, repetitions, held ones            endpoints.py  slow and dropped endpoints
    items.py          one notification as JSON                          crypto.py     certificates, encrypted content
    tokens.py         validation tokens                                 client.py     the HTTP client, the handshake
    sent.py           every POST and its outcome                        subscription.py  one subscription and its history

Subscriptions live an hour at most, so they die with the process and are no part of the kept state. Minutes of their lives,
delays, repetitions and an endpoint's ten-minute windows are the world's, so that a scaled clock shortens them and a step
passes them; only what an endpoint is given to answer is real time.
"""
