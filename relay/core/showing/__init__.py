"""Values shown to people: console statuses, idle times, reasons why a user has no presence.

diagnosis.py  Words, reasons and remedies for watched users and for the connection to Microsoft
idle.py       Computes the time since which a user has been idle
mapping.py    The mapping table: Microsoft's availability and activity -> the state that consoles get
"""
