"""Values shown to people: console statuses, idle times, reasons why a user has no presence.

diagnosis.py  What people are told of a watched user and of the connection to Microsoft: words, reasons, and what to do
idle.py       Since when a user is idle
mapping.py    The mapping table: what Microsoft says of a user -> what consoles get
"""
