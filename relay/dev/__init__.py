"""A whole relay on one machine: `presence-relay dev`.

    run.py        all of it, from an empty folder to a command that shows presence
    folder.py     files that are kept between runs: certificates, key ring, ports, the data of the two servers
    children.py   Valkey and the local Microsoft cloud as processes that end when this one does, in any case
    docs.py       the link to the documentation
    browser.py    a person at Microsoft's sign-in and consent pages, played by a script
    conformance/  a relay that misbehaves on purpose, and a checklist of what a suite did then: `presence-suite conformance`

It needs what `pip install presence-relay[dev]` installs, and the emulator from the source checkout.
"""
