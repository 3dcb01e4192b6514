"""The webhook's answers to notifications, and their opening by the worker.

posts.py  Graph's POSTs as bytes, and a sender that writes them at a rate
run.py    answers under load, and opening beside the bare cryptography
"""
