"""The notes of a running agent: written to disk before they are acknowledged, shown on the board, and shared with other agents.

keeper.py        writes, clears, receives and expires notes
follower.py      follows the agent through which notes are shared
feed.py          all versions in the order of their arrival, for agents that follow this one
event_reader.py  server-sent events
clock.py         the machine's clocks, and the hub's
"""
