"""The rules of Prometheus and the dashboards that ship with the Helm chart."""
