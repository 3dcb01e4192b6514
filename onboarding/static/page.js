// Comfort only: every page works without it.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent.trim();
    let said = "Copied.";
    try {
      await navigator.clipboard.writeText(text);
      button.classList.add("is-copied");
    } catch {
      said = "Your browser does not let us copy. Please select the text and copy it.";
    }
    document.getElementById("copied").textContent = said;
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
    button.textContent = form.dataset.busy;
  });
}

// Back from another page, out of the browser's memory: the page as the server would show it now.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const wrong = document.querySelector("[aria-invalid=true]");
if (wrong) wrong.focus();
