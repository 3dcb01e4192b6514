"""Change notifications: subscriptions, certificates, and the content of notifications.

certificates.py   Certificates that notifications are encrypted for, and their private keys
notifications.py  Opens change notifications: decrypts, verifies, and parses the presence
settings.py       Settings of change notifications
subscriptions.py  Creates, renews, deletes and lists Graph's change-notification subscriptions
validation.py     Verifies that a POST of change notifications comes from Microsoft, by its validation tokens
"""
