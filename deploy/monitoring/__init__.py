"""The rules of Prometheus and the dashboards of Grafana that ship with the Helm chart.

alerts.py       Alerts on causes: what will hurt suites soon, or does so where no objective counts it
boards.py       The dashboards: which questions each answers, and by which expressions
dashboards.py   The dashboards as Grafana's JSON
objectives.py   The service level objectives, each as a share of errors
panels.py       The parts of dashboards, and panels that several have
pictures.py     A dashboard drawn as SVG
rules.py        Both objectives and alerts as rules, in Prometheus' YAML
units.py        Numbers as dashboards show them
"""
