"""The bulk reads of one tenant, from the plan to the stored answer.

reader.py   The reads of one tenant: which users, when, within the budget, and what becomes of the answers
poller.py   One bulk read, and the search for the id that makes Graph refuse it
answers.py  The answers of one tenant's users as the owner believes them to be stored
writes.py   The writes that may be under way together
"""
