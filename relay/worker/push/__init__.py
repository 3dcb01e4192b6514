"""The change notifications of one tenant.

subscriber.py     keeps the tenant's subscriptions as planned
book.py           the subscriptions as this worker knows them
coverage.py       the users worth covering
graph_side.py     creates, renews, searches and deletes subscriptions at Graph, and their records
announcements.py  opens, judges and accepts notifications; has the watchdogs
opening.py        decrypts notifications in the order of arrival
metrics.py        metrics of subscriptions and notifications
status.py         the number of pushed users, for operators
"""
