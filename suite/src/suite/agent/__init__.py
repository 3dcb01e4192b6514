"""The agent: a program on the customer's premises that serves presence to a suite without gRPC.

commands.py   the commands `agent` and `settings`
checking.py   check whether an agent can start, for installers
logs.py       the log file, of bounded size
run.py        build an agent, and apply changes of its settings
parts.py      parts that run according to the settings, restarted when these change
api/          the local API: HTTP/JSON and server-sent events
rpc/          the relay's API, served over gRPC
sipserver/    the SIP server, through which phones watch colleagues
sources/      sources of presence: Teams by the relay, telephone systems, programs of this machine
feeds/        presence sent to telephone systems
changes.py    changes that one console has not been sent yet
board.py      all colleagues, the statements of sources about them, the state that consoles show
answers.py    the relay's answers, as the agent serves them over gRPC
notekeeping/  the notes of a running agent
notes/        the rules of notes
added.py      colleagues that programs add by the local API
store/        the last answers, notes and added colleagues, kept over a restart
users/        the file of colleagues
settings/     Presence.ini
core/         the rules: the statements of all sources about a user -> the state that consoles show
files.py      read files in any common encoding, and notice changes
certificate.py  the certificate of the agent's servers

    users ────┐
    sources ──┼──► board ──► api ──► consoles
    settings ─┘      │
                     └── core: one status from the statements of all sources
"""
