"""Cancelled streams: the memory that an edge retains after each.

    edge.py     an edge with telemetry, which measures its own memory
    bare.py     gRPC only, with the same streams
    memory.py   the memory of a server without streams
    suites.py   suites that open streams and cancel them, half of them while the server's write to them is blocked
    run.py      runs both servers, and compares

Half of the streams are read until their snapshot is complete, and then cancelled. The others are never read: they request more than
HTTP/2 lets the edge send, so its write blocks, and the stream is cancelled during the write. The edge is complete, in plain text, with
scraped metrics. The first tenth of the streams is not measured, while caches fill. No connection is open during a measurement.

Memory in use is compared: allocated blocks of the C library, and Python's objects. Resident memory is printed too, but small blocks
keep whole pages resident after the largest batch.

A failed write leaves some 290 bytes in C, as many after 3,000 streams as after 10,000, and also in the bare server; a stream that was
read leaves some 25. No Python objects remain. The likely cause is gRPC's core, whose source (`execute_batch`) frees the operations of a
batch only if it succeeded.
"""
