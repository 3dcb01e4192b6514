"""The examples for developers of suites: each runs as a process of its own against a real relay.

tools.py             install compilers and libraries below .venv, and build the examples: `make examples`
running.py           one running example, and its lines
gateway.py           an HTTP proxy through which the examples reach the relay
test_conformance.py  what each must do: show presence, resume after a killed edge, obey a revoked key, values that are newer
test_names.py        every name of the API that an example uses exists, in languages that have no compiler here too
test_packages.py     the release packages: what is in them, and an example that runs from each
"""
