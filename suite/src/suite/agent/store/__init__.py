"""The store: one SQLite file that keeps the last answers, the notes and added colleagues over a restart.

answers.py   the answers of the relay, and their resume token
notes.py     notes, written to disk before they are acknowledged
colleagues.py  colleagues that programs added
not_kept.py  the error of a failed read or write
encoding.py  presences as JSON
database.py  one file for one agent: moves a damaged file away, refuses one in use
"""
