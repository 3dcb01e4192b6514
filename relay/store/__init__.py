"""Redis (or Valkey) behind one package: no other package names a key, a command or a script.

    server/     connections, keys, scripts, users and their rights, errors
    presence/   data that can be read again from Graph: answers, interest, leases, streams, subscriptions
    sealing/    the key ring, its signatures, and short-lived values that are sealed under it
    custody/    data that cannot be read again: tenants, grants, suite keys, managers, the audit log
    backup/     custody as a file, and restoring from it

Each package imports only those above it. A script's file is in the folder of the module that runs it.

Presence is on the main server and may be lost with it. Each write of custody is followed by `WAITAOF` on the same
connection. Custody may be on a separate server.

Each write by a partition's owner carries the owner's lease, and the script compares it with the lease in force. Each
script uses the keys of one partition only, so that a Cluster can run it.
"""
