"""The audit log: its events, and its files.

events.py  The events of the audit log: changes of custody with their author, and suites that watched users
export.py  The audit log as files: JSON Lines for programs, CSV for a spreadsheet
"""
