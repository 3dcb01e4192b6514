"""The conformance kit for vendors: a real edge on loopback that misbehaves on purpose, and a checklist of what a suite did then.

    run.py         the whole: the relay, the suite's program, the scenarios, the checklist; `presence-suite conformance` calls it
    scenarios.py   what happens to the suite, one function each
    relay.py       the relay of a run: Valkey, the edge, the gateway before it, and what the scenarios may do to them
    microsoft.py   a played worker: it knows everybody who is asked for
    observing.py   notes each call at the edge, and refuses calls when told
    gateway.py     the way to the edge, which can be cut, closed, frozen and slowed down
    program.py     the vendor's program as a child process
    rules.py       the rules: what was recorded -> findings; pure
    checklist.py   scenario -> its rules, and the findings put together; pure
    record.py      what is recorded of a suite; pure
    report.py      the checklist as text, JSON and HTML

It is in the relay's distribution and not in the suite's, because it runs the relay's own edge, and `presence-suite` promises to bring nothing of the
server. It is below `relay.dev`, because it needs the same extra packages. The command finds it by its name when both are installed.

A worker is played, so that a run takes no time for Microsoft and needs no organisation: a suite cannot tell the difference. Moving
a suite, refusing it and resetting it are done by the edge's own code. Cuts, silence and slowness are done to its connections.
"""
