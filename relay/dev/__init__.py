"""A whole relay on one machine: `presence-relay dev`.

    run.py        the whole run, from an empty folder to a command that shows presence
    folder.py     files kept between runs: certificates, key ring, ports, the data of both servers
    children.py   Valkey and the local Microsoft cloud as processes that always end with this one
    docs.py       the link to the documentation
    browser.py    a script that fills in Microsoft's sign-in and consent pages
    conformance/  a relay that misbehaves on purpose, and a checklist of how a suite reacted: `presence-suite conformance`

It needs `pip install presence-relay[dev]`, and the emulator from the source checkout.
"""
