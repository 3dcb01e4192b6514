"""The operator's settings: read from the environment, checked, and collected in one value.

clear_text.py  addresses that would send secrets over the network in clear text
env.py         reads `RELAY_…` variables, or the files that `RELAY_…_FILE` variables name; reports all faults at once
groups/        the settings themselves, in groups by subject
load.py        reads all settings at the start of a command; builds the settings of store, Graph and telemetry
roles.py       the roles, and the settings that each of them requires
table.py       the settings as a Markdown table
validators.py  types of settings, each with its check

Roles build their own settings from these groups: see `relay/edge/settings.py`. This package imports no role.
"""
