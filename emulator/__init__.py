"""A local Microsoft cloud: Entra ID, and Microsoft Graph's presence, with simulated people.

A program (`python -m emulator`) and a library:

    async with Emulator.start(Config()) as cloud:
        cloud.act("ada@contoso.example", "call")

    app.py        the server: TLS, one ASGI application, start and stop
    cloud.py      the state that all surfaces share, and the operations on it
    config.py     the configuration that a cloud starts with
    exchange.py   the types of a request and its answer
    hosts.py      Microsoft's host names and clouds
    proxy.py      the proxy that connects clients to the emulator under those names
    tls.py        certificates by a private CA

    entra/        Entra ID: sign-in, consent, tokens
    graph/        Microsoft Graph: users, presences, subscriptions, $batch
    notifications/  change notifications, sent to webhooks
    control/      the control surface under /_emulator/, and its page

    world.py      tenants, people, applications and their consents
    demo.py       the demo world
    generate.py   worlds of any size, made from a seed
    records.py    the file form of a world
    life.py       people's actions, and how they end
    sessions.py   the presence that others see, aggregated from devices and choices
    presence.py   the written form of a presence
    day.py        drives people through their days
    plan.py       the plan of one person's day
    chance.py     random numbers that depend on their names alone
    clock.py      a clock that can be scaled, stopped and stepped, and its queue

    switches.py   switches for behaviour that Microsoft does not document
    profile.py    profiles: values for all switches, from a file
    faults.py     injected faults
    snapshots.py  snapshots of all state, under names
    journal.py    every request, and the gaps between two reads of a user
    history.py    every change of the presence that others see
    state.py      the state that is stored between runs

It imports nothing from the relay, not even a constant, so that an error in one cannot hide the same error in the other.
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
