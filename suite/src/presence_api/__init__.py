"""The API of the presence relay for phone suites, generated from its protos.

    v1/  `relay.api.presence.v1`: messages, the service's stubs and the reasons of errors

Suites and the relay both use it. Nothing in `v1` is edited by hand: `make protos` writes it.
"""
