// The connections of the sources, named as on the vendor's settings page, each with what to do.

import { sourceName } from "./explain.js";
import { maybe, name, number, say } from "./words.js";

const TONES = {
  up_and_running: "good", connecting: "busy", disabled: "",
  server_not_configured: "warn", connection_error: "bad", forbidden: "bad", credentials_not_found: "bad",
};
const list = document.getElementById("connections");

/** Draws the list. sources: source -> { state, detail }; feeds: the same for feeds; notes: the store and sharing of notes, if the agent has
 * notes; phones: the SIP server, if there is one. */
export function drawConnections(sources, feeds, notes, phones) {
  const rows = Object.entries(sources).map(([source, one]) => item(source, sourceName(source), one));
  rows.push(...Object.entries(feeds).map(([feed, one]) => item(feed, say(`feed.${feed}`), one)));
  if (notes) rows.push(item("notes", say("connection.notes"), notes.store));
  if (notes && notes.sharing.state !== "disabled") rows.push(sharing(notes.sharing));
  if (phones && phones.state !== "disabled") rows.push(ofPhones(phones));
  list.replaceChildren(...rows);
}

function sharing(found) {
  const made = item("sharing", say("connection.sharing"), found);
  if (found.unsent) made.append(span("connections__todo", say("unsent", { number: number(found.unsent) })));
  return made;
}

function ofPhones(found) {
  const made = item("phones", say("connection.phones"), found);
  made.append(span("connections__todo", say("subscriptions", { number: number(found.subscriptions) })));
  return made;
}

function item(source, title, { state, detail }) {
  const made = document.createElement("li");
  made.dataset.source = source;
  const chip = span("chip", name("connection", state));
  if (TONES[state]) chip.classList.add(`chip--${TONES[state]}`);
  const head = span("connections__head", "");
  head.append(Object.assign(document.createElement("strong"), { textContent: title }), chip);
  made.append(head);
  const todo = maybe(`todo.${source}.${state}`) ?? maybe(`todo.${state}`);
  if (todo) made.append(span("connections__todo", todo));
  if (detail) made.append(Object.assign(span("soft", detail), { lang: "en" }));
  return made;
}

const span = (className, textContent) => Object.assign(document.createElement("span"), { className, textContent });
