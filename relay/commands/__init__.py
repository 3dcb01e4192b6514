"""The operators' commands, by subject. Each reads the settings, calls one function and prints the result.

    serve          serve, dev
    check          check everything the relay needs
    settings       list the settings
    explain        explain one user's presence
    audit          print a tenant's audit log
    probe          ask a real tenant about behaviour that Microsoft does not document
    redis_acl      print the Redis user of a role
    tenants        the organisations that use the relay
    managers       the managers of a tenant: `tenants manager`
    invitations    links that begin an onboarding: `tenants invite`
    mapping        a tenant's own console statuses: `tenants map`
    user_limit     how many users a tenant may watch: `tenants limit`
    suite_keys     suite keys and their marks
    keyring        the key ring: made, rotated, shown
    kubernetes_secret   a Secret made through Kubernetes' API: `keyring new-secret`
    backup         backups: created, verified, restored; their keys
    backup_folder  a folder of backups, of which the newest are kept
    certificates   certificates that change notifications are encrypted for
    renamed        the command group, and old spellings of commands
    runner         shared by all: settings, the store, errors as one line, exit codes
    naming         finds the tenant that an operator names

A command imports what it needs when it runs: `--help` must not wait for gRPC.
"""
