"""`presence-relay probe`: asks a real tenant about behaviour that Microsoft does not document.

    run.py        all of it: consent, questions, profile     client.py     one question after the other, slowly
    questions.py  the questions, and the meaning of answers  sample.py     the form of a page of presences, pure
    profile.py    the file, which the local cloud loads      defaults.toml the initial values of its switches

It only reads: a few dozen requests, at most five a second. It keeps nothing that names a person.
"""
