"""The worker: owns partitions by lease and finds out what their tenants' users are up to.

    worker.py       partitions: leases, the inbox, history
    partition.py    one owned partition: its tenants, epoch and contact
    tenant.py       one tenant: what is wanted, whether it may be read, the loop that closes the gap
    resolver.py     names -> users
    reader.py       the reads of a tenant: the plan made true
    subscriber.py   the tenant's subscriptions at Graph, and what they announce
    poller.py       one bulk read: users -> observations
    accept.py       observations -> answers, compared, encoded and stored
    pool.py         the tenant's grants: which one reads, what its refusals mean
    encode.py       answers as bytes, encoded once for everybody

Nothing here must outlive the process: another worker that takes over reads interest, directory and answers from the store.
"""
