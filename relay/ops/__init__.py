"""What an operator looks at: logs, metrics and traces, health.

    logging     one form of log line for the relay and its libraries, with secrets masked
    telemetry   OpenTelemetry: metrics on the ops port, metrics and traces to a collector when there is one
    health      the ops port: /livez, /readyz, /metrics

Code that counts or logs needs none of this: it asks OpenTelemetry's API for a meter and structlog for a logger.
"""
