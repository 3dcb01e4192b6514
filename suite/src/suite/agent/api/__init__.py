"""The local API: HTTP/JSON and server-sent events, for consoles, connectors and scripts on this machine or in the LAN.

app.py        the routes
stream.py     the event stream of one console
event_response.py  server-sent events as a response, for consoles and for agents that follow this one
page.py       the page at `/`, whose files are in `static`
colleagues.py  the routes that add and remove colleagues
notes.py      the routes of notes
versions.py   the routes for agents that follow this one
wire.py       the JSON and events of colleagues, encoded once for all consoles
openapi.py    the OpenAPI description; openapi_notes.py that of notes, describing.py shared parts of both
bodies.py     request bodies, bounded and checked
shapes.py     the board's entries and notes as JSON
answers.py    a response with a JSON body
sign_in.py    authentication with a token
token.py      the token, and the cookie derived from it
guard.py      the check of Host and Origin
serving.py    uvicorn on a port, with limits for each peer
accepting.py  connections until HTTP begins: limits and TLS handshakes
places.py     the limit of connections, and the choice of the one to close
pace.py       rate limits: a burst, then one in each interval
"""
