"""The rules of notes: plain text about a colleague, which all agents of a customer have alike. Pure: the time is given.

notebook.py  all pages of an agent, within bounds: what a change does, before it is done
page.py      the note about one colleague and those before it: the newest counts, and a day of history
values.py    a version of a note, its order, and the bounds
text.py      text and author as they are kept: plain, bounded
wire.py      a version as JSON between agents

Each write makes a version with a stamp: milliseconds of the agent's clock, but always more than the newest stamp of that colleague's page.
The greatest stamp counts, so a note that was written after another had been seen wins whatever the clocks say; the clocks decide only
between notes that were written without knowing of each other. Pages merge by the union of their versions: agents that have seen the same versions, in
whatever order and however often, show the same note.

No agent's time is compared with another's: between agents, a version says in how many seconds it ends, or how many seconds ago it ended.
"""
