"""Worlds of any size, generated from a seed, and their stable ids."""

from __future__ import annotations

import random
import uuid

from emulator.chance import Chance
from emulator.world import Application, Person, Tenant, World

_NAMES = (
    "Ada",
    "Ben",
    "Chloe",
    "David",
    "Emma",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Leo",
    "Mia",
    "Noah",
)
_SURNAMES = ("Adler", "Brandt", "Costa", "Dahl", "Eriksen", "Fontaine", "Garcia", "Hansen", "Ito", "Jansen", "Keller")

BENCH_CLIENT_ID = "00000000-0000-4000-8000-00000000be0c"
BENCH_SECRET = "bench-secret"
PASSWORD = "Pa55word!"
"""The password of all people in every generated world."""


def stable_guid(name: str) -> str:
    """Return the GUID for a name, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.emulator.example"))


def generate_world(*, tenants: int = 200, people: int = 500, seed: int = 1) -> World:
    """Make `tenants` tenants with `people` people and a service account (`relay@…`) each, and one application.

    Tenants are spread over time zones, which matter if days have nights.
    """
    chance = random.Random(seed)
    world = World()
    world.add_application(
        Application(client_id=BENCH_CLIENT_ID, name="Bench", publisher="Bench", secrets=[BENCH_SECRET])
    )
    for number in range(tenants):
        world.add_tenant(_tenant(chance, number, people))
    return world


def _tenant(chance: random.Random, number: int, people: int) -> Tenant:
    domain = f"t{number}.example"
    tenant = Tenant(tenant_id=_guid(chance), domain=domain, name=f"Tenant {number}")
    tenant.add(
        Person(
            tenant, _guid(chance), f"relay@{domain}", "Presence relay", password=PASSWORD, role="admin", licensed=True
        )
    )
    for index in range(people):
        name = f"{chance.choice(_NAMES)} {chance.choice(_SURNAMES)}"
        person = tenant.add(Person(tenant, _guid(chance), f"p{index}@{domain}", name, password=PASSWORD))
        person.zone_s = _zone_s(domain, person.oid)
    return tenant


def _zone_s(domain: str, oid: str) -> int:
    """Return a person's offset from UTC, in seconds: that of the tenant, or for one in ten another."""
    chance = Chance(oid, "zone")
    return (chance if chance.happens(0.1) else Chance(domain, "zone")).one_of(_ZONES_H) * 3600


_ZONES_H = (-8, -6, -5, -5, 0, 0, 1, 1, 1, 1, 2, 3, 5, 8, 9)


def _guid(chance: random.Random) -> str:
    """Return a version 4 GUID in lower case."""
    text = f"{chance.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"
