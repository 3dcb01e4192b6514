"""A local Microsoft cloud: Entra ID and Microsoft Graph's presence, with people who live in it.

A program (`python -m emulator`) and a library:

    async with Emulator.start(Config()) as cloud:
        cloud.act("ada@contoso.example", "call")

    app.py       the server: TLS, one ASGI application, start and stop      config.py    what a cloud starts with
    cloud.py     what every surface shares, and the operations on it        exchange.py  one request and its answer
    hosts.py     Microsoft's host names and clouds                          proxy.py     leads clients here under those names
    world.py     tenants, people, applications; records.py is their file form, demo.py and generate.py make some
    life.py      what people do, and how it ends or fades by itself; sessions.py: what others then see of it
    day.py       drives people through their days, which plan.py makes up from a seed (chance.py)
    clock.py     a clock that can be scaled, stopped and stepped, and the queue of what is due
    switches.py  everything that Microsoft does not document; profile.py sets them all from a file
    faults.py    refusals made to order                                     snapshots.py everything as it was, under a name
    journal.py   every request, and the gaps between two reads of a user    state.py     what outlives the process
    entra/       discovery, keys, authorize, token                          graph/       users, presences, $batch
    history.py   what others saw of people, change by change
    control/     /_emulator/                                                notifications/  what webhooks get
    presence.py  how a presence is written                                  tls.py       the certificate that the cloud shows

It imports nothing of the relay, not even a constant, so that the two cannot be wrong together.
"""

from __future__ import annotations

from emulator.app import Emulator
from emulator.cloud import Cloud
from emulator.config import Config
from emulator.faults import Fault
from emulator.generate import generate_world
from emulator.switches import Switches
from emulator.world import Application, Person, Tenant, World

__all__ = [
    "Application",
    "Cloud",
    "Config",
    "Emulator",
    "Fault",
    "Person",
    "Switches",
    "Tenant",
    "World",
    "generate_world",
]
