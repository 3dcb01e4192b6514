"""The conformance kit for vendors: a real edge on loopback that misbehaves on purpose, and a checklist of how a suite reacted.

    run.py         a whole run: the relay, the suite's program, the scenarios, the checklist; `presence-suite conformance` calls it
    scenarios.py   the scenarios, one function each
    relay.py       the relay of a run: Valkey, the edge, the gateway before it, and the faults that scenarios cause
    microsoft.py   a simulated worker that knows every requested user
    observing.py   records each call at the edge, and refuses calls on request
    gateway.py     a TCP proxy before the edge, which can be cut, closed, frozen and slowed down
    program.py     the vendor's program as a child process
    rules.py       the rules: record -> findings; pure
    checklist.py   scenario -> its rules, and the combined findings; pure
    record.py      the record of a suite; pure
    report.py      the checklist as text, JSON and HTML

It is in the relay's distribution and not in the suite's, because it runs the relay's edge, and `presence-suite` must
not contain server code. It is below `relay.dev`, because it needs the same extra packages. The command finds it by its
name when both are installed.

The worker is simulated, so that a run does not wait for Microsoft and needs no organisation; a suite cannot detect the
difference. The edge's own code moves, refuses and resets a suite. The gateway cuts, silences and slows its connections.
"""
