"""The store: one SQLite file in which the last answers, the notes and added colleagues are kept over a restart.

answers.py   the answers of the relay, and the token that goes with them
notes.py     notes, on the disk before they are acknowledged
colleagues.py  colleagues that programs added
not_kept.py  the error of what could not be kept
encoding.py  presences as JSON
database.py  one file for one agent: damaged ones set aside, others' left alone
"""
