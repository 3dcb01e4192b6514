"""How soon the webhook answers, and how fast the worker opens notifications.

posts.py  Graph's POSTs as bytes, and a sender that writes them at a rate
run.py    answers under load, and opening beside the bare cryptography
"""
