"""A real Asterisk: `make check-asterisk`."""
