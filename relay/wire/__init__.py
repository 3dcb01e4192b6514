"""The item: the one form of an answer, in the store, in `changes` and on the wire.

decode.py  Decodes answers: for the owner that takes over, and for people's diagnostics
encode.py  Encodes answers, once: their bytes are stored, carried in `changes` and written to every watching stream
"""
