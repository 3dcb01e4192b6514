"""The bulk reads of one tenant, from the schedule to the stored answer.

schedule.py     which users are read, when, and the polling interval that Graph's limit allows
reader.py       one read: requested from Graph, then accepted or noted as failed
poller.py       the request itself, and the search for an id that makes Graph refuse it
answers.py      the stored answers, as far as this owner knows them
users.py        the users that may be read, and the fields that suites may have
page_hashes.py  the hashes of each page's last content
writes.py       the writes that may be under way together
"""
