"""Change notifications: subscriptions, certificates, and what a notification says.

certificates.py   Certificates that notifications are encrypted for, and their private keys
notifications.py  Opens change notifications: decrypts with our key, verifies, and parses the presence as of a poll
settings.py       Settings of change notifications
subscriptions.py  Graph's change-notification subscriptions: made, renewed, deleted, listed
validation.py     Verifies that a POST of change notifications comes from Microsoft, by its validation tokens
"""
