"""The store: one SQLite file in which the last answers are kept over a restart.

answers.py   the answers of the relay, and the token that goes with them
encoding.py  presences as JSON
database.py  one file for one agent: damaged ones set aside, others' left alone
"""
