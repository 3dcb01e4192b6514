"""Redis (or Valkey) behind one package: nothing outside it names a key, a command or a script.

    server/     connections, keys, scripts, users and their rights, errors
    presence/   data that can be read again from Graph: answers, interest, leases, streams, subscriptions
    sealing/    the key ring, its signatures, and short-lived values that are sealed under it
    custody/    data that cannot be read again: tenants, grants, suite keys, managers, the audit log
    backup/     custody as a file, and restoring from it

Each package imports only those above it. A script's file is beside the module that runs it.

Presence is on the main server and may be lost with it. Each write of custody is followed by `WAITAOF` on the same connection, and
custody may have a server of its own.

Everything that a partition's owner writes carries its lease, and the script that writes compares it. Every script
touches the keys of one partition only, so that a Cluster can run it.
"""
