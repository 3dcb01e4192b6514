"""Parts of every process, whatever its role: logs, metrics, health, supervised tasks, the event loop and the clock.

    logging.py           one form of log line for the relay and its libraries, with secrets masked
    telemetry.py         OpenTelemetry: metrics on the ops port, metrics and traces to a collector when one is set
    metric.py            the description of a metric, from which its documentation is generated
    instruments.py       instruments: plain integers and functions that are read at a scrape, and histograms
    metric_export.py     sends metrics to a collector, from a thread of its own
    span.py              spans of traces, and how a trace continues in another process
    span_export.py       sends spans to a collector, from a thread of its own
    span_metrics.py      the metric of traces
    process_metrics.py   metrics of every process: CPU, memory, descriptors, the event loop
    health.py            the ops port: /livez, /readyz, /metrics
    expiry.py            reports certificates and credentials that expire: in the log, in a metric, on /readyz
    server_certificate.py  certificates of servers, reloaded when their files change
    private_files.py     finds files with secrets that every user of the machine may read
    refused_requests.py  refused requests, counted by reason and logged once a minute
    grpc_log.py          gRPC's own log lines about unauthenticated calls, once a minute
    listening.py         the form of addresses, for every listener
    cadence.py           waits of loops: for an event with a limit, and for work at intervals
    turns.py             divides long work, so that other tasks run in between
    garbage.py           garbage collection without long pauses
    loop.py              the event loop of all processes
    supervision.py       tasks that must not end: restarted after an outage; a bug in one stops the process cleanly
    clock.py             the clock that is passed to long-lived parts

Code that counts makes its instruments with `instruments.py`; code that logs asks structlog for a logger.
"""
