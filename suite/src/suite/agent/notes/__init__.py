"""The rules of notes: plain text about a colleague, the same on all agents of a customer. Pure: the time is an argument.

notebook.py  all pages of an agent, within limits; changes are planned first, then applied
page.py      the versions of the note about one colleague: the newest counts, the others are history for a day
values.py    a version of a note, the order of versions, and the limits
text.py      clean text and author: plain, bounded
wire.py      a version as JSON between agents

Each write creates a version with a stamp: milliseconds of the agent's clock, but always higher than all stamps on that colleague's page.
The highest stamp counts. So a note written after another one was seen wins, whatever the clocks are; clocks only decide
between concurrent writes. Pages merge by the union of their versions: agents with the same versions show the same note, whatever
the order in which these arrived.

The clocks of two agents are never compared: between agents, a version has the number of seconds until, or since, its end.
"""
