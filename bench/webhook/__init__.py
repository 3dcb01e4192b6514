"""The webhook's answers to notifications, and their decryption by the worker.

posts.py  Graph's POSTs as bytes, and a sender that writes them at a rate
run.py    answers under load, and decryption compared with the bare cryptography
"""
