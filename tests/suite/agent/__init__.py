"""Tests of the agent.

test_settings.py    Presence.ini as found in the field
test_aggregate.py   the rules of aggregation
test_users.py       the file of colleagues
"""
