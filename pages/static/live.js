// Asks for the live part of a page again and again, and puts it in the place of the old one. Without this the page is reloaded.
// A module, because the other script has names of its own.
"use strict";

const EVERY_MS = 2500;
const LATEST_MS = 30000;
const live = document.getElementById("live");
const state = document.getElementById("live-state");

/** Puts what is new into the page; whoever is at a link in it stays there. */
function show(fresh) {
  if (fresh.innerHTML === live.innerHTML) return;
  const at = document.activeElement;
  const here = live.contains(at) ? at.id : "";
  live.replaceChildren(...fresh.childNodes);
  if (here) document.getElementById(here)?.focus({ preventScroll: true });
}

async function refresh(wait) {
  let next = EVERY_MS;
  if (!document.hidden) {
    try {
      const response = await fetch(live.dataset.source, { cache: "no-store", credentials: "same-origin", redirect: "error" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("live");
      if (response.ok && !fresh) {
        state.textContent = state.dataset.ended; // nobody is signed in any more
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      show(fresh);
      state.textContent = `${state.dataset.live} ${fresh.dataset.at}`;
    } catch {
      state.textContent = state.dataset.failed;
      next = Math.min(LATEST_MS, 2 * wait);
    }
  }
  setTimeout(() => refresh(next), next);
}

if (live && state) {
  state.textContent = `${state.dataset.live} ${live.dataset.at}`;
  setTimeout(() => refresh(EVERY_MS), EVERY_MS);
}
