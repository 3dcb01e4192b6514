"""The relay's API, served by the agent. Programs written for the relay need no change, and share the agent's stream to it.

server.py    the gRPC server, with a graceful stop
service.py   calls: authentication, limit of streams, errors
stream.py    one stream from its start to its end
requests.py  the requests of a console, within limits
watch.py     the names that one console watches, and the answers that it has not been sent (pure)
encode.py    responses as bytes
errors.py    the ends of streams, with the protocol's reasons

    relay ◄── one stream ── Teams source ──► answers ──► stream ──► console
                                                    ├──► stream ──► console
                                                    └──► …
"""
