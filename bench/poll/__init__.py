"""The CPU cost of a page for the worker that reads it.

    stub.py   a minimal form of Graph's bulk read, over TLS and in a process of its own
    run.py    the worker's way of a page beside the HTTP call and the decoding alone, in the same process in turn

The worker's way: the request encoded, the call, the answer compared with the last one, changes mapped, compared, encoded and
accepted. The cost of a page is the CPU of this process for one call; Valkey's is shown apart. Answers come compressed, as Graph sends
them, on both.
"""
