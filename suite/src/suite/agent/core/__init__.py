"""The rules of the agent, pure: nothing waits, logs or reads a clock here.

aggregate.py  what all sources say of one user -> what consoles show, who said it and why
table.py      the rules as a table, for the documentation
values.py     what sources state and consoles are shown
"""
