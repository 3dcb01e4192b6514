"""The pages of onboarding."""

from __future__ import annotations

from tests.onboarding.inventory import Visit, row


@row("start", "empty")
async def _(visit: Visit) -> None:
    await visit.goto("/onboarding")


@row("start", "faults")
async def _(visit: Visit) -> None:
    await visit.fill(organisation="", email="ada", domain="contoso")
    await visit.page.wait_for_selector(".is-wrong")


@row("problem", "unknown_flow")
async def _(visit: Visit) -> None:
    await visit.goto(f"/onboarding/{'0' * 24}")


@row("greeting", "new")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.show()


@row("leaving", "on-the-way")
async def _(visit: Visit) -> None:
    await visit.fill()
    await visit.page.route(f"{visit.site.cloud.url}/**", lambda route: route.fulfill(status=204))
    await visit.page.click("#authorize button")
    await visit.page.wait_for_selector("#leave")


@row("done", "key-was-shown")
async def _(visit: Visit) -> None:
    await visit.grant()
    await visit.show()
