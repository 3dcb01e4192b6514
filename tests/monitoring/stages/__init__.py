"""Every alert with real processes: `python -m tests.monitoring.stages [ALERT…]`, or `make alerts`.

A whole relay works on this machine, and a real Prometheus scrapes all its roles once a second. It evaluates the rules that ship with the chart in
scaled time (`deploy.monitoring.rules.faster`): a window of an hour is a minute. A fault is staged, the alert fires, the first command of its runbook is
run as it is written and shows the cause, the fault ends, and the alert clears. Everything is bounded in time, and all that was started ends.

world.py       the relay: processes, proxies, tenants, suites, changes, Prometheus
faults.py      the faults
catalogue.py   which fault makes which alert fire, and what the runbook's command must show
runbook.py     the first command of a runbook
kubectl.py     what `kubectl` is in these commands
run.py         carries stages out, and makes the table
"""
