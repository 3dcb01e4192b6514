"""The store: one SQLite file in which the last answers and the notes are kept over a restart.

answers.py   the answers of the relay, and the token that goes with them
notes.py     notes, on the disk before they are acknowledged
encoding.py  presences as JSON
database.py  one file for one agent: damaged ones set aside, others' left alone
"""
