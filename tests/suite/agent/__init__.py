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
test_sip_server.py  phones that watch colleagues at the SIP server
test_sip_access.py  networks, logins, certificates and limits of the SIP server
test_sip_lists.py   lists of colleagues that phones watch as one
test_sip_publishing.py  states of phones that telephone systems publish
test_sip_states.py  the states that phones are told
test_sip_settings.py  the settings of the SIP server
test_sip_fuzz.py    nonsense at the SIP server
feeds/              presence told to Asterisk and to presence servers
phones.py           a SIP server in the test's process, and phones
drawn.py            the picture of the page in the documentation
pages.py            an agent and a browser before its page
agents.py           an agent in the test's process
consoles.py         a console of the agent
"""
