"""Tests of the feeds to telephone systems and presence servers.

test_rules.py     what is told, under which name, as which bytes
test_asterisk.py  the feed to Asterisk, against a manager with faults
manager.py        that manager
"""
