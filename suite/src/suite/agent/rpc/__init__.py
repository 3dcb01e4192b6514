"""The relay's own API, served by the agent: programs that were written for the relay need no change, and share the one stream to it.

server.py    listens, and ends in order
service.py   calls: who may open a stream, how many, how it ends
stream.py    the life of one stream
requests.py  the requests of a console, within limits
watch.py     the names that one console watches, and what it is owed (pure)
encode.py    responses as bytes
errors.py    the ends of streams, with the protocol's reasons

    relay ◄── one stream ── Teams source ──► answers ──► stream ──► console
                                                    ├──► stream ──► console
                                                    └──► …
"""
