"""A collector that receives metrics and spans over OTLP, counts the spans, and discards them."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Final

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_SERVICES: Final = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "spans",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}


def collect(pipe: Connection) -> None:
    """Run a collector and send its port. Answer any message with the number of spans of each name so far."""
    counts: dict[str, int] = {}

    def export(request: bytes, _context: grpc.ServicerContext) -> bytes:
        for resource in otlp.ExportTraceServiceRequest.FromString(request).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    counts[span.name] = counts.get(span.name, 0) + 1
        return b""

    def take(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return b""

    server = grpc.server(futures.ThreadPoolExecutor(2))
    for service, kind in _SERVICES.items():
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            export if kind == "spans" else take
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pipe.send(port)
    while True:
        pipe.recv()
        pipe.send(dict(counts))
