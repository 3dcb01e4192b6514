"""The notes of a running agent: on the disk before they are acknowledged, on the board at once, in step with other agents.

keeper.py        writes, clears, takes and expires notes
follower.py      follows the agent through which notes are shared
feed.py          all versions in the order in which they came here, for agents that follow this one
event_reader.py  server-sent events
clock.py         the machine's clocks, and the hub's
"""
