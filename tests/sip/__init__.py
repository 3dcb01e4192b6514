"""The SIP user agent: its rules by tables and properties, its sockets on loopback, and against a real Kamailio.

kamailio.py   start Debian's Kamailio as a presence server; `make test` unpacks it into .venv/sip
kamailio.cfg  its configuration: digest, presence and dialog, PUBLISH, resource lists, UDP, TCP and TLS
"""
