"""One exposition of several processes' metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from relay.processes.ops_port import merged

ONE = """\
# HELP relay_edge_streams Open streams
# TYPE relay_edge_streams gauge
relay_edge_streams 3.0
# HELP relay_edge_starts_total Beginnings of streams, by outcome
# TYPE relay_edge_starts_total counter
relay_edge_starts_total{outcome="fresh"} 7.0
# HELP wait_seconds How long
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1"} 1.0
wait_seconds_bucket{le="+Inf"} 2.0
wait_seconds_count 2.0
wait_seconds_sum 1.5
"""
TWO = ONE.replace(" 3.0", " 4.0").replace('outcome="fresh"', 'outcome="\\"odd\\\\"')


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels of each sample -> its value."""
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def test_each_sample_is_there_once_with_its_process() -> None:
    found = samples(merged({1: ONE, 2: TWO}).decode())
    expected = {
        (name, labels | {("process", str(number))}): value
        for number, text in ((1, ONE), (2, TWO))
        for (name, labels), value in samples(text).items()
    }
    assert found == expected


def test_each_metric_is_described_once_and_its_samples_stand_together() -> None:
    text = merged({1: ONE, 2: TWO}).decode()
    for name in ("relay_edge_streams", "relay_edge_starts_total", "wait_seconds"):
        assert text.count(f"# TYPE {name} ") == 1
    lines = text.splitlines()
    of_streams = [number for number, line in enumerate(lines) if line.startswith("relay_edge_streams{")]
    assert of_streams == [of_streams[0], of_streams[0] + 1]
