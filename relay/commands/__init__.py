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
    keyring        the key ring: create, rotate, show
    kubernetes_secret   creates a Secret through Kubernetes' API: `keyring new-secret`
    backup         backups: create, verify, restore; create their keys
    backup_folder  a folder that keeps the newest backups
    certificates   certificates that change notifications are encrypted for
    renamed        the command group, and old spellings of commands
    runner         shared by all commands: settings, the store, errors as one line, exit codes
    naming         finds a tenant by its id, domain or name

A command imports its dependencies when it runs, so that `--help` does not load gRPC.
"""
