"""What operators deploy the relay with, and what they watch it with.

helm         The Helm chart
agent        The agent as a service of systemd
image        The image: built, described and tried
packages     Release packages for developers of suites
monitoring   Rules of Prometheus, which the chart ships
site         The documentation site
"""
