// One row of the table of colleagues.

import { below, nameOf, otherNames, sourceName, statusName, why, winner } from "./explain.js";
import { UNKNOWN, drawIcon, look, makeIcon, phoneLook } from "./looks.js";
import { byline } from "./note-form.js";
import { name, say } from "./words.js";

/** Returns a new row. open(id): called when the user opens the details of a colleague. */
export function makeRow(open) {
  const row = document.createElement("tr");
  row.role = "row";
  const who = cell(row, "th", "user");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link rows__name";
  button.addEventListener("click", () => open(row.dataset.id));
  who.append(button, line("rows__below"));
  for (const kind of ["status", "rich", "phone"]) {
    const shown = document.createElement("span");
    shown.className = "rows__state";
    shown.append(makeIcon(), line("rows__word"));
    cell(row, "td", kind).append(shown, line("rows__below"));
  }
  for (const kind of ["why", "note"]) cell(row, "td", kind).append(line("rows__word"), line("rows__below"));
  return row;
}

function cell(row, tag, kind) {
  const made = document.createElement(tag);
  made.className = `rows__${kind}`;
  if (tag === "th") made.scope = "row";
  made.role = tag === "th" ? "rowheader" : "cell";
  row.append(made);
  return made;
}

function line(kind) {
  const made = document.createElement("span");
  made.className = kind;
  return made;
}

/** Draws a colleague in a row. Only differences are written. */
export function drawRow(row, user, sources, note) {
  const [who, status, rich, phone, because, noted] = row.cells;
  write(who, nameOf(user), otherNames(user));
  row.classList.toggle("is-uncertain", user.uncertain);
  state(status, look(user.status), statusName(user.status), below(user, sources));
  state(rich, look(user.rich.state), statusName(user.rich.state), user.rich.source ? sourceName(user.rich.source) : "");
  state(phone, phoneLook(user.telephony), name("phone", user.telephony), "");
  write(because, winner(user) || say("source.none"), why(user));
  write(noted, note?.text ?? "", note ? byline(note) : "");
  label(rich, "column.rich");
  label(phone, "column.phone");
  label(because, "column.why");
  label(noted, "note");
}

function state(cell, shape, first, second) {
  drawIcon(cell.querySelector("svg"), shape);
  cell.classList.toggle("is-unknown", shape === UNKNOWN);
  write(cell, first, second);
}

function write(cell, first, second) {
  text(cell.querySelector(".rows__name, .rows__word"), first);
  text(cell.querySelector(".rows__below"), second);
}

function text(element, words) {
  if (element.textContent !== words) {
    element.textContent = words;
    element.title = words;
  }
}

function label(cell, key) {
  if (cell.dataset.label !== say(key)) cell.dataset.label = say(key);
}
