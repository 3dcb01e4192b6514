"""Parts of every process, whatever its role: logs, metrics, health, supervised tasks, the event loop and the clock.

    logging.py           one form of log line for the relay and its libraries, with secrets masked
    telemetry.py         OpenTelemetry: metrics on the ops port, and to a collector when one is set
    health.py            the ops port: /livez, /readyz, /metrics
    expiry.py            certificates and credentials that expire: in the log, in a metric, on /readyz
    server_certificate.py  certificates of servers, which follow their files
    private_files.py     files with secrets that every user of the machine may read
    refused_requests.py  refused requests, counted by reason and logged once a minute
    grpc_log.py          gRPC's own log lines about unauthenticated calls, once a minute
    listening.py         one spelling of an address for every listener
    cadence.py           waits of loops: for an event with a limit, and for work at intervals
    turns.py             long work in parts, with other work in between
    loop.py              the event loop that everything runs on
    supervision.py       tasks that must not end: restarted after an outage; a bug in one stops the process in order
    clock.py             the clock that long-lived parts are given

Code that counts or logs needs none of this: it asks OpenTelemetry's API for a meter and structlog for a logger.
"""
