"""Telemetry: the CPU that metrics cost an edge at full fan-out.

    edge.py   an edge with telemetry, or with all counting taken out; the scraper
    run.py    runs both at the same time and compares

Both edges run at the same time beside one worker and one Valkey, and each tenant has half of its suites at each: they deliver the same
answers at the same instants, and a busy machine disturbs both alike. The edge with telemetry is scraped every five seconds, and
ten tenants have series of their own; the CPU of a scrape is a figure of its own. In the other one counters, histograms and the measuring of ages do nothing. Which of the two starts first
changes with each run.
"""
