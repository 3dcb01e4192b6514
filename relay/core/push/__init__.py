"""Subscriptions at Graph: their life, the users that they cover, and whether they announce changes.

coverage.py      Which users go into which grant's subscription; the others are polled
subscription.py  The life of one grant's subscription, as pure steps
watchdog.py      Whether a subscription announces changes: polls compared with notifications

The rule whether a notification is newer than the known answer is in `core.reading.acceptance`, by the same rules as for
reads.
"""
