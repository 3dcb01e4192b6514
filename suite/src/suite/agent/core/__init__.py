"""The agent's rules of aggregation. Pure: nothing here waits, logs or reads a clock.

aggregate.py  the statements of all sources about one user -> the state that consoles show, with its source and reason
table.py      the rules as a table, for the documentation
values.py     the values in statements of sources and in the shown state
"""
