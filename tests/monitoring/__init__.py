"""The rules of Prometheus that ship with the Helm chart."""
