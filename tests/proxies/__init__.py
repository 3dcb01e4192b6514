"""Suites behind real proxies: tinyproxy, haproxy, squid that inspects TLS, mitmproxy. `make test` installs them into .venv/proxies.

running.py      start each of them, for one test
conftest.py     a relay behind them
test_doctor.py  what the doctor says of each
"""
