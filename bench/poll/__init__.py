"""The CPU cost of a page for the worker that reads it.

    stub.py   a minimal form of Graph's bulk read, over TLS and in a separate process
    run.py    the worker's read of a page, compared with only the HTTP call and the decoding, in the same process in turn

The worker encodes the request, makes the call, compares the answer with the last one, and maps, compares, encodes and accepts
changes. The cost of a page is the CPU of this process for one call; Valkey's is shown separately. Answers are compressed on both
sides, as Graph sends them.
"""
