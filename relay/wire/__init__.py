"""The item: the encoding of an answer, the same in the store, in `changes` and on the wire.

decode.py  Decodes answers: for a worker that takes over a partition, and for diagnostics
encode.py  Encodes answers once: the same bytes are stored, added to `changes` and written to every watching stream
"""
