"""The audit log: its events, and its files.

events.py  What the audit log says: who did what to whose custody, and which suite watched whom
export.py  The audit log as files: JSON Lines for programs, CSV for a spreadsheet
"""
