"""The colleagues whose presence consoles show: a CSV file, as a directory's export or Excel writes it.

watching.py   notice a new version of the file
directory.py  find a colleague by login, UPN, SIP address or extension
reading.py    the file -> colleagues, with what is wrong by line
"""
