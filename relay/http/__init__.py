"""HTTP servers for strangers: the pages, the webhook and whoever connects to them, within bounds.

admission.py   Which connections a server keeps open: so many in all, and so many of one address, the longest waiting one giving way
bodies.py      What the bodies of all requests to one server hold together, so that a thousand connections cost no more than this
handshakes.py  Sockets until HTTP begins on them: each gets a place or has to go, and does its TLS handshake in time
limits.py      What strangers may hold of a server that speaks HTTP
paths.py       Paths of the pages and the webhook, and what a public URL must look like
protocol.py    HTTP for strangers: uvicorn's fast parser, with a bound for whatever a peer may make it keep or wait for
serving.py     An ASGI application on a port, until the context is left; with TLS, or behind a proxy that speaks it
"""
