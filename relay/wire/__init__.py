"""The item: the one form of an answer, in the store, in `changes` and on the wire.

decode.py  Answers out of their bytes: for the owner that takes over, and for people who look. See `worker.encode` for the way in
encode.py  Answers as bytes: encoded here once, stored, carried in `changes` and written to every watching stream as they are
"""
