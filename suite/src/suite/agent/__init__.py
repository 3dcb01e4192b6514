"""The agent: it runs on the customer's premises, beside a suite that does not speak gRPC, and serves presence on loopback.

commands.py   the commands `agent`, `settings check` and `settings explain`
files.py      read files as they are found in the field, and notice changes
core/         the rules: what all sources say of a user -> what consoles show
settings/     Presence.ini
users/        the file of colleagues
"""
