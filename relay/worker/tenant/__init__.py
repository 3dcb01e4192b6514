"""One tenant in its owner's hands.

loop.py     What suites want, what is known, and the loop that closes the gap
names.py    What the tenant's names stand for
permits.py  Which users the worker may read
"""
