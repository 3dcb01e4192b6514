// The connections of the sources, in the words of the vendor's settings page, each with what to do.

import { sourceName } from "./explain.js";
import { maybe, name } from "./words.js";

const TONES = {
  up_and_running: "good", connecting: "busy", disabled: "",
  server_not_configured: "warn", connection_error: "bad", forbidden: "bad", credentials_not_found: "bad",
};
const list = document.getElementById("connections");

/** Writes them anew: source -> { state, detail }. */
export function drawConnections(sources) {
  list.replaceChildren(...Object.entries(sources).map(([source, { state, detail }]) => item(source, state, detail)));
}

function item(source, state, detail) {
  const made = document.createElement("li");
  made.dataset.source = source;
  const chip = span("chip", name("connection", state));
  if (TONES[state]) chip.classList.add(`chip--${TONES[state]}`);
  const head = span("connections__head", "");
  head.append(Object.assign(document.createElement("strong"), { textContent: sourceName(source) }), chip);
  made.append(head);
  const todo = maybe(`todo.${source}.${state}`) ?? maybe(`todo.${state}`);
  if (todo) made.append(span("connections__todo", todo));
  if (detail) made.append(Object.assign(span("soft", detail), { lang: "en" }));
  return made;
}

const span = (className, textContent) => Object.assign(document.createElement("span"), { className, textContent });
