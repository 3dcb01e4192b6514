"""Change notifications: subscriptions, certificates, and what a notification says.

certificates.py   Certificates that notifications are encrypted for, and their private keys
notifications.py  What a change notification says: opened with our key, checked, and read as a poll's answer is
settings.py       Where Graph sends change notifications, and what it encrypts them for
subscriptions.py  Graph's change-notification subscriptions: made, renewed, deleted, listed
validation.py     Whether a POST of change notifications comes from Microsoft: its validation tokens
"""
