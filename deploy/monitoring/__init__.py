"""The rules of Prometheus that ship with the Helm chart.

alerts.py       Alerts on causes: what will hurt suites soon, or does so where no objective counts it
objectives.py   The service level objectives, each as a share of errors
rules.py        Both as recording and alerting rules, in Prometheus' YAML
"""
