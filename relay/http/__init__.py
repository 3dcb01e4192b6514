"""HTTP servers for strangers: the pages, the webhook and whoever connects to them, within bounds.

admission.py   Decides which connections a server keeps open: so many in all, and so many of one address
bodies.py      Bounds the bytes that the bodies of all requests to one server hold together
handshakes.py  Sockets until HTTP begins on them: each gets a place or has to go, and does its TLS handshake in time
limits.py      Limits on what strangers hold of an HTTP server
paths.py       Paths of the pages and the webhook, and what a public URL must look like
protocol.py    HTTP for strangers: uvicorn's fast parser, with a bound for whatever a peer may make it keep or wait for
serving.py     An ASGI application on a port, until the context is left; with TLS, or behind a proxy that speaks it
"""
