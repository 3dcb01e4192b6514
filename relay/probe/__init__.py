"""`presence-relay probe`: asks a real tenant about behaviour that Microsoft does not document.

    run.py        a whole probe: consent, questions, profile     client.py     sends one request at a time, slowly
    questions.py  the questions, and the meaning of answers  sample.py     the form of a page of presences, pure
    profile.py    the file, which the local cloud loads      defaults.toml the initial values of its switches

It only reads: a few dozen requests, at most five a second. It stores nothing that identifies a person.
"""
