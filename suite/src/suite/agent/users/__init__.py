"""The colleagues whose presence consoles show, read from a CSV file, such as an export of a directory or of Excel.

watching.py   notice a new version of the file
directory.py  find a colleague by login, UPN, SIP address or extension
reading.py    the file -> colleagues, and faults by line
"""
