"""Telemetry: the CPU that metrics and traces cost an edge at full fan-out.

    edge.py       an edge with telemetry, or with all of it disabled; the scraper
    collector.py  a collector that counts spans
    run.py        runs both edges at the same time and compares

Both edges run at the same time with one worker and one Valkey, and each tenant has half of its suites at each: they deliver the same
answers at the same instants, and a busy machine disturbs both equally. The edge with telemetry is scraped every five seconds, and
ten tenants have separate series; the CPU of a scrape is a separate figure. In the other edge, counters, histograms, the measurement
of ages and the continuation of traces do nothing. One in a hundred of the worker's writes begins a trace (`--share`), and both edges
read the same entries; spans go to a collector. The two start in alternating order.
"""
