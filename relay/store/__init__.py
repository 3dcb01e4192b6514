"""Redis (or Valkey) behind one package: nothing outside it names a key, a command or a script.

    connection.py   the connections, what runs on which, the translation of errors, the preflight
    keys.py         every key, and which partition a tenant is in
    scripting.py    Lua scripts, loaded once and run by their hash
    leases.py       who owns a partition
    pipes.py        the two streams of a partition: inbox and changes
    hints.py        what the inbox says
    entries.py      what `changes` says
    presences.py    answers, directory, epoch, contact time, snapshots
    interest.py     which names the suites of each edge watch
    tenants.py      tenant records
    suite_keys.py   the bearer keys of suites
    vault.py        grants, encrypted and versioned
    keyring.py      the keys that grants are encrypted with

Two kinds of data. *Presence* can be read again from Graph: it lives at the main server and may be lost with it. *Custody*
(tenants, suite keys, grants) cannot: each write of it is followed by `WAITAOF` on the same connection, and it may live on
a server of its own.

Whoever writes what a partition's owner writes shows its lease, and the script that writes compares it. Every script
touches the keys of one partition only, so that a Cluster can run it.
"""
