"""The languages of pages and e-mails. `*.toml` has every message in each of them.

languages.py  The languages of the pages: which one a request wants, and how each says what the templates and the code say in English
"""
