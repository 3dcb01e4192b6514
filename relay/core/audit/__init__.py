"""The audit log: its events, its files, and which suite watches whom.

events.py           The events of the audit log: changes of custody with their author, and suites that watched users
export.py           The audit log as files: JSON Lines for programs, CSV for spreadsheets
watch_intervals.py  The intervals in which each suite watches each user
"""
