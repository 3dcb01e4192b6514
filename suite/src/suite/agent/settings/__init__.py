"""The settings of the agent: Presence.ini, which the vendor's suite may share. The agent never writes it.

watching.py  notice a new version; with a broken one, the old one stays in force
explain.py   the settings as text for administrators, and as a page of the documentation
load.py      the file -> AgentSettings, and faults by line
finding.py   the setting that an entry of the file sets
schema.py    every setting, in the order of the reference page
groups/      the settings by subject, and their values
given.py     the content of a file for the groups, and their faults
certificate_files.py  the certificate that settings name
sip_files.py  logins of phones, and lists of colleagues
sip_together.py  conflicts of SIP's settings: a port that is used twice, a server that is the agent itself
libraries.py whether the packages that SIP needs are installed
setting.py   one setting: section, name, kind, default, meaning
access.py    the token of the local API
kinds.py     the kinds of values: text -> value, or an error
reading.py   the file's text -> entries by line, for any text
"""
