"""A real Asterisk: `make check-asterisk`.

asterisk.py  starts one, out of a folder with Debian 11
etc/         its configuration
live.py      the tests; named so that `make test` leaves them out
wire.py      what it sends, as it is on the wire
recorded/    what it sent, which `tests/sip/test_asterisk_recorded.py` reads
"""
