"""`presence-relay probe`: asks a real tenant what Microsoft does not document.

    run.py        the whole of it: consent, questions, profile     client.py     one question after the other, slowly
    questions.py  what is asked, and what each answer means        sample.py     the form of a page of presences, pure
    profile.py    the file, which the local cloud loads            defaults.toml its switches as it begins with them

Only reading, a few dozen requests, at most five a second. Nothing that names anybody is kept.
"""
