"""The operator's settings: where they come from, what they are, and what parts of the relay make of them.

clear_text.py  What goes over a network that others can read along on
env.py         Where settings come from: `RELAY_…` variables, or the files that `RELAY_…_FILE` variables name
groups.py      The settings themselves, a group for each concern: names, meanings, defaults with their reasons, and what cannot be
http.py        The limits of strangers at the pages and the webhook, as settings. `docs/limits.md` says what each of them costs
load.py        The relay's settings, read once at the start of a command by `load`, and what parts of the relay make of them
"""
