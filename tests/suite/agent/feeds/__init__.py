"""Tests of the feeds to telephone systems and presence servers.

test_rules.py     what is told, under which name, as which bytes
test_feed_settings.py  the settings of both feeds
test_asterisk.py  the feed to Asterisk, against a manager with faults
test_sip_publish.py  the feed to a presence server, against a real Kamailio and against one with faults
test_echo.py      both directions at one server
manager.py        a manager of Asterisk with faults
"""
