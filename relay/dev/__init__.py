"""A relay at work on one machine: `presence-relay dev`.

    run.py        the whole of it, from an empty folder to a command that shows presence
    folder.py     what is kept between runs: certificates, key ring, ports, the data of the two servers
    children.py   Valkey and the local Microsoft cloud as processes that end when this one does, however it ends
    browser.py    a person at Microsoft's sign-in and consent pages, played by a script

It needs what `pip install presence-relay[dev]` brings, and the emulator from the source checkout.
"""
