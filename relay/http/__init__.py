"""HTTP servers for the public internet: the pages and the webhook, with limits on every client.

admission.py   Limits the open connections of a server, in total and for each address
bodies.py      Limits the memory that request bodies of one server take together
handshakes.py  Accepts sockets: each gets a place or is closed, and must finish its TLS handshake in time
limits.py      Limits on the resources that clients may take of an HTTP server
metrics.py     How long requests take, for metrics
spans.py       The spans of requests
paths.py       Paths of the pages and the webhook, and the form of a public URL
protocol.py    HTTP for the public internet: uvicorn's fast parser, with limits on memory and time for each client
serving.py     Serves an ASGI application on a port, with TLS or behind a proxy that ends TLS
"""
