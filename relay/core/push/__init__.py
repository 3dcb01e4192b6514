"""Subscriptions at Graph: their life, whom they cover, and whether they announce what happens.

coverage.py      Which users go into which grant's subscription, and which are polled instead
subscription.py  The life of one grant's subscription, as pure steps
watchdog.py      Whether a subscription announces what happens, judged by what polls find without it
"""
