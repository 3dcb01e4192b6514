"""Parts of every process, whatever its role: logs, metrics, health, supervised tasks, the event loop and the clock.

    logging.py           one form of log line for the relay and its libraries, with secrets masked
    telemetry.py         OpenTelemetry: metrics on the ops port, metrics and traces to a collector when one is set
    metric.py            the description of a metric, of which its documentation is made
    instruments.py       instruments: plain integers and functions that are read at a scrape, and histograms
    metric_export.py     metrics sent to a collector, from a thread of its own
    span.py              spans: what a trace consists of, and how it goes on in another process
    span_export.py       spans sent to a collector, from a thread of its own
    span_metrics.py      the metric of traces themselves
    process_metrics.py   metrics of every process: CPU, memory, descriptors, the event loop
    health.py            the ops port: /livez, /readyz, /metrics
    expiry.py            certificates and credentials that expire: in the log, in a metric, on /readyz
    server_certificate.py  certificates of servers, which follow their files
    private_files.py     files with secrets that every user of the machine may read
    refused_requests.py  refused requests, counted by reason and logged once a minute
    grpc_log.py          gRPC's own log lines about unauthenticated calls, once a minute
    listening.py         one spelling of an address for every listener
    cadence.py           waits of loops: for an event with a limit, and for work at intervals
    turns.py             long work in parts, with other work in between
    garbage.py           collections of garbage that keep nobody waiting
    loop.py              the event loop that everything runs on
    supervision.py       tasks that must not end: restarted after an outage; a bug in one stops the process in order
    clock.py             the clock that long-lived parts are given

Code that counts makes its instruments with `instruments.py`; code that logs asks structlog for a logger.
"""
