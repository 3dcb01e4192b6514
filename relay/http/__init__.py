"""HTTP servers for the public internet: the pages and the webhook, with bounds on everybody who connects.

admission.py   Decides which connections a server keeps open: a number in all, and a number for one address
bodies.py      Bounds the bytes that the bodies of all requests to one server hold together
handshakes.py  Sockets until HTTP begins on them: each gets a place or is closed, and finishes its TLS handshake in time
limits.py      Limits on what peers may hold of an HTTP server
metrics.py     How long requests take, for metrics
spans.py       The spans of requests
paths.py       Paths of the pages and the webhook, and the form of a public URL
protocol.py    HTTP for the public internet: uvicorn's fast parser, with a bound on all that a peer may make it keep or wait for
serving.py     An ASGI application on a port, until the context is left; with TLS, or behind a proxy that speaks it
"""
