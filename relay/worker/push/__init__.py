"""The change notifications of one tenant.

subscriber.py  One tenant's subscriptions at Graph: created, renewed, adopted, deleted, and what they announce
opening.py     Opens the notifications of one tenant in the order in which they came
"""
