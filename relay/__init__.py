"""The Teams presence relay: reads Microsoft Teams presence and passes it on to phone suites.

    app.py, cli.py   composition: builds the roles and runs them
    edge/            gRPC server for suites
    worker/          owns partitions: tokens, polling, subscriptions, accepting observations
    webhook/         receives Graph's change notifications
    graph/           Microsoft's side
    store/           Redis
    core/            rules and values, pure
    probe/           asks a real tenant what Microsoft does not document
    ops/             telemetry, health, logging
    api/             generated from protos/, never edited

ARCHITECTURE.md tells how they work together.
"""
