"""Telemetry: the CPU that metrics and traces cost an edge at full fan-out.

    edge.py       an edge with telemetry, or with all of it taken out; the scraper
    collector.py  a collector that counts spans
    run.py        runs both edges at the same time and compares

Both edges run at the same time beside one worker and one Valkey, and each tenant has half of its suites at each: they deliver the same
answers at the same instants, and a busy machine disturbs both alike. The edge with telemetry is scraped every five seconds, and
ten tenants have series of their own; the CPU of a scrape is a figure of its own. In the other one counters, histograms, the measuring of ages and the following of traces do nothing. One
in a hundred of the worker's writes begins a trace (`--share`), and both edges read the same entries; spans go to a collector. Which of the two starts first
changes with each run.
"""
