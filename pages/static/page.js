// Comfort only: every page works without it.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent.trim();
    const status = document.getElementById("copied");
    let said = status.dataset.done;
    try {
      await navigator.clipboard.writeText(text);
      button.classList.add("is-copied");
    } catch {
      said = status.dataset.failed;
    }
    status.textContent = said;
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", (event) => {
    const button = form.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    button.setAttribute("aria-disabled", "true");
    if (form.dataset.busy) button.textContent = form.dataset.busy;
  });
}

// What is under way: the part of the page that changes, once a second; the whole page when it is over.
async function follow(live) {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (!answer.ok || !fresh || !fresh.hasAttribute("data-live")) {
      location.reload();
      return;
    }
    if (fresh.innerHTML !== live.innerHTML) live.replaceChildren(...fresh.childNodes);
  } catch {
    // No connection just now: the next try tells.
  }
  setTimeout(follow, 1000, live);
}
const live = document.querySelector("#live[data-live]");
if (live) setTimeout(follow, 1000, live);

// The link of a trial carries the token behind its #, which no server and no log sees.
const secret = document.querySelector("[data-from-link]");
const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
if (secret && fromLink) {
  history.replaceState(null, "", location.pathname);
  secret.value = fromLink;
  secret.form.requestSubmit();
}

// Back from another page, out of the browser's memory: the page as the server would show it now.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const wrong = document.querySelector("[aria-invalid=true]");
if (wrong) wrong.focus();
