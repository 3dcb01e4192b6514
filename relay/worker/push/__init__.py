"""The change notifications of one tenant.

subscriber.py     keeps the tenant's subscriptions as planned
book.py           the subscriptions as this worker knows them
coverage.py       the users worth covering
graph_side.py     subscriptions at Graph and their records: created, renewed, searched, deleted
announcements.py  notifications opened, judged and accepted; and the watchdogs
opening.py        notifications decrypted in the order in which they came
metrics.py        metrics of subscriptions and notifications
status.py         how many users are pushed, for operators
"""
