"""The worker: owns partitions by lease, and reads the presence of their tenants' users.

    worker.py      the partitions of one process: their begin and end, their inbox, lost history
    leasing.py     leases: taken, renewed, handed over, given up
    sharing.py     the worker's row in the table of workers, and the partitions that it takes and hands over
    load.py        the cost of a partition (users, notifications), and the metrics of a worker's share
    metrics.py     its metrics
    spans.py       its spans
    figures.py     its tenants in numbers, for metrics
    tenure.py      the time until which a worker may act on a lease, by its own clock
    partition.py   one owned partition: its tenants, inbox and housekeeping
    ownership.py   the lease, the epoch, and access to Graph while the lease lasts
    contacts.py    the contact times of a partition's tenants, written together
    store_clock.py the time of day by the store's clock, which all workers share
    context.py     the connections, repositories and settings that all tenants share
    cloud.py       the connection to Microsoft: one Graph client, and access tokens
    settings.py    the settings, each with its reason
    statistics.py  a snapshot of the partitions and users of the worker
    tasks.py       tasks of a group that may be ending
    tenant/        one tenant: names, standing, the loop
    reads/         bulk reads: schedule, reader, answers
    push/          change notifications: subscriptions, announcements
    grants/        the grants that the worker reads with

No state here needs to outlive the process: a worker that takes over reads interest, names and answers from the store.
"""
