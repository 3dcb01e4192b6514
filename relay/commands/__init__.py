"""The operators' commands, by subject. Thin: each reads settings, calls one function, and says what came of it.

    running        serve, dev, check, probe, settings
    tenants        the organisations that use the relay
    keys           suite keys and their marks, and the keys of backups
    ring           the key ring, under `keys` too
    custody        the audit log, backup and restore
    certificates   what change notifications are encrypted for
    frame          what all share: settings, the store, trouble told in a line, exit codes
    naming         which tenant an operator means

What a command needs is imported when it runs: `--help` must not wait for gRPC.
"""
