"""The agent: it runs on the customer's premises, beside a suite that does not speak gRPC, and serves presence there.

commands.py   the commands `agent` and `settings`
checking.py   check for an installer whether an agent can start
logs.py       the log file, of bounded size
run.py        put an agent together, and follow its settings
parts.py      what runs by the settings, begun anew when they change
api/          the local API: HTTP/JSON and server-sent events
rpc/          the relay's own API, over gRPC
sipserver/    the SIP server, through which phones watch colleagues
sources/      Teams by the relay, and what programs of this machine tell
feeds/        presence told to telephone systems
changes.py    what is still to be sent to one console
board.py      all colleagues, what sources say of them, what consoles are shown
answers.py    the relay's answers, as they are passed on over gRPC
notekeeping/  the notes of a running agent
notes/        the rules of notes
added.py      the colleagues that programs add by the local API
store/        the last answers, the notes and added colleagues, over a restart
users/        the file of colleagues
settings/     Presence.ini
core/         the rules: what all sources say of a user -> what consoles show
files.py      read files as they are found in the field, and notice changes
certificate.py  the certificate of the agent's own servers

    users ────┐
    sources ──┼──► board ──► api ──► consoles
    settings ─┘      │
                     └── core: one status from what all sources say
"""
