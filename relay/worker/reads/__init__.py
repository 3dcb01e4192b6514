"""The bulk reads of one tenant, from the schedule to the stored answer.

schedule.py  which users are read, when, within Graph's limit
reader.py    one read: asked, accepted, or noted as failed
poller.py    the request itself, and the search for the id that makes Graph refuse it
answers.py   the answers as they are believed to be stored
users.py     who may be read, and what of them suites may have
seen.py      the hashes of what pages said last
writes.py    the writes that may be under way together
"""
