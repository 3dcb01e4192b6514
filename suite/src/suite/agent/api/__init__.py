"""The local API: HTTP/JSON and server-sent events on loopback, for consoles, connectors and scripts of this machine.

app.py        the routes
stream.py     the event stream of one console
openapi.py    the description of the API
bodies.py     request bodies, bounded and checked
shapes.py     the board's entries as JSON
guard.py      which Host and Origin may use the API
serving.py    uvicorn on a port, with bounds on what a peer may keep
"""
