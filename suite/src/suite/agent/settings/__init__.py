"""The settings of the agent: a file of the vendor's suite, Presence.ini, as it is found in the field. It is never written.

watching.py  notice a new version; a broken one leaves the old one in force
explain.py   the settings as text for a person, and as a page of the documentation
load.py      the file -> AgentSettings, with what is wrong by line
finding.py   the setting that an entry of the file means
schema.py    every setting, in the order of the reference page
groups/      the settings by subject, and the values that they become
given.py     what a file gives to the groups, and what they tell of it
certificate_files.py  the certificate that settings name
sip_files.py  logins of phones, and lists of colleagues
sip_together.py  collisions of SIP's settings: a port that is used twice, a server that is the agent itself
libraries.py whether the packages that SIP needs are installed
setting.py   one setting: section, name, kind, default, meaning
access.py    the token of the local API
kinds.py     the kinds of values: text -> value, or why it is none
reading.py   the file's text -> entries by line, whatever is in it
"""
