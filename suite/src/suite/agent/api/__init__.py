"""The local API: HTTP/JSON and server-sent events, for consoles, connectors and scripts of this machine, or of the LAN.

app.py        the routes
stream.py     the event stream of one console
event_response.py  server-sent events as an answer, for consoles and for agents that follow this one
page.py       the page at `/`, whose files are in `static`
colleagues.py  the routes by which colleagues are added and removed
notes.py      the routes of notes
versions.py   the routes for agents that follow this one
wire.py       the JSON and events of colleagues, made once for all consoles
openapi.py    the description of the API; openapi_notes.py that of notes, describing.py what both are made of
bodies.py     request bodies, bounded and checked
shapes.py     the board's entries and notes as JSON
answers.py    an answer with a JSON body
sign_in.py    who may use the API when there is a token
token.py      the token, and the cookie that stands for it
guard.py      which Host and Origin may use the API
serving.py    uvicorn on a port, with bounds on what a peer may keep
accepting.py  connections until HTTP begins on them: TLS in time
places.py     how many connections there may be, and which gives way
pace.py       so many at once, then one every so often
"""
