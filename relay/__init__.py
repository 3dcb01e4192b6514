"""The Teams presence relay: reads Microsoft Teams presence and passes it on to phone suites.

    cli.py      the command line, put together from `commands/`
    commands/   the operators' commands, by subject
    dev/        a whole relay on one machine: `presence-relay dev`
    probe/      asks a real tenant about behaviour that Microsoft does not document
    processes/  several edges on one port of one machine: `presence-relay serve edge --processes`
    app.py      composition: builds the roles and runs them in one process
    edge/       role: the gRPC server for suites
    worker/     role: owns partitions: tokens, polling, subscriptions, accepting observations
    webhook/    role: receives Graph's change notifications
    administration/  changes of tenants by an operator, for commands and the console
    alerts/     e-mail and signed notices to administrators
    consent/    from a consent to a kept grant
    diagnosis/  the state of a tenant's users and of its connection, for operators and administrators
    settings/   the operator's settings
    graph/      Microsoft's side: Graph and Entra
    store/      Redis
    wire/       the encoding of an answer, in the store and on the wire
    http/       HTTP servers for the public internet
    ops/        logs, metrics, health
    locale/     the languages of pages and e-mails
    errors.py   the relay's errors, grouped by what the caller must do
    core/       rules and values, pure

Imports point downwards in this list; `make contracts` verifies that. Two roles are packages of their own, which
only `app.py` imports: the pages are `onboarding`, and the operator's console is `console`. The API for suites is the package `presence_api` of the distribution `presence-suite`. ARCHITECTURE.md describes how they work together.
"""
