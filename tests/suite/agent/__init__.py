"""Tests of the agent.

test_settings.py    Presence.ini as found in the field
test_aggregate.py   the rules of aggregation
test_users.py       the file of colleagues
test_board.py       who is on the board, and what consoles missed
test_store.py       what is kept over a restart
test_doubt.py       how far the relay's answers are trusted
test_teams.py       the Teams source, against a scripted relay
test_local.py       states that programs of the machine tell
test_api.py         the local API, over a real socket
test_notes.py       the rules of notes
test_note_keeper.py notes on the disk and on the board
test_api_notes.py   notes over the local API
test_note_sharing.py several agents with the same notes
test_agent.py       a whole agent
test_page.py        the page of a whole agent, in a real browser
drawn.py            the picture of the page in the documentation
pages.py            an agent and a browser before its page
agents.py           an agent in the test's process
consoles.py         a console of the agent
"""
