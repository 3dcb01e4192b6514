"""Draws the picture of the agent's page: `python -m tests.suite.agent.drawn`, or `make page-picture`.

A real agent on a scripted relay, with colleagues, phones and notes; a real browser opens its page.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
from pathlib import Path
from typing import Final

import httpx
import trustme

from presence_api.v1 import presence_pb2 as pb
from tests.onboarding.chromium import started
from tests.suite.agent.pages import Scene, scene
from tests.suite.agent.test_teams import tell

PICTURE: Final = Path(__file__).parents[3] / "docs" / "suites" / "agent-page.webp"
_PEOPLE: Final = {
    "Ada": "IN_A_MEETING", "Ben": "AVAILABLE", "Carla": "AWAY", "Dario": "DO_NOT_DISTURB", "Elena": "BUSY",
    "Fabio": "AVAILABLE_IDLE", "Giulia": "OUT_OF_OFFICE", "Hanna": pb.UNKNOWN_REASON_NOT_FOUND,
}  # fmt: skip
_PHONES: Final = {"Ben": "busy", "Carla": "forwarded_to_voicemail", "Dario": "ringing", "Elena": "idle"}
_NOTES: Final = {
    "Ada": ("Eva", "Interview until noon. Do not put calls through."),
    "Giulia": ("Tom", "Back on Monday; Ben stands in."),
}


async def _fill(at: Scene) -> None:
    """Let everybody have a state, some a phone in use, and some a note."""
    stream = await at.relay.stream()
    stream.started()
    tell(stream, **{name: (name, state) for name, state in _PEOPLE.items()})
    for name, state in _PHONES.items():
        await at.posts("/v1/telephony", user=name, state=state, sequence=1)
    async with httpx.AsyncClient(base_url=at.premises.url, trust_env=False) as operator:
        for name, (author, text) in _NOTES.items():
            answer = await operator.put(f"/v1/users/{name}/note", json={"text": text, "author": author})
            answer.raise_for_status()


async def draw() -> None:
    """Open the page, and keep a picture of it."""
    authority = trustme.CA()
    cert = authority.issue_cert("localhost")
    colleagues = "login;upn;extension\n" + "".join(
        f"{name};{name}@x.org;{1001 + place}\n" for place, name in enumerate(_PEOPLE)
    )
    with tempfile.TemporaryDirectory() as folder:
        async with (
            started() as browser,
            scene(browser, Path(folder), cert, authority.cert_pem.bytes(), colleagues, locale="en-GB") as at,
            at.premises.agent(),
        ):
            await _fill(at)
            await at.page.set_viewport_size({"width": 1120, "height": 1150})
            await at.enter()
            await at.shows("Giulia", "Back on Monday")
            session = await at.page.context.new_cdp_session(at.page)
            # A third of a PNG's size.
            taken = await session.send("Page.captureScreenshot", {"format": "webp", "quality": 80})
            PICTURE.write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    asyncio.run(draw())
