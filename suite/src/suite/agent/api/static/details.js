// The details of one colleague, next to the list.

import { doubt, nameOf, reason, since, sourceName, statusName, why, winner } from "./explain.js";
import { drawIcon, look, makeIcon, phoneLook } from "./looks.js";
import { openNote } from "./note-form.js";
import { name, say } from "./words.js";

const dialog = document.getElementById("details");
const facts = document.getElementById("details-facts");
const more = document.getElementById("details-more");
let shown = "";
let closed = () => {};

/** The user whose details are open; empty when they are closed. */
export const about = () => (dialog.open ? shown : "");

/** Opens the details. whenClosed(user): called when they are closed. */
export function openDetails(user, sources, note, whenClosed) {
  shown = user.user;
  closed = whenClosed;
  drawDetails(user, sources);
  openNote(shown, note);
  dialog.showModal();
}

dialog.addEventListener("close", () => closed(shown));
document.getElementById("details-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // beside it
});

/** Draws the details again; the user is `undefined` when the agent has removed the colleague. */
export function drawDetails(user, sources) {
  if (!user) {
    facts.replaceChildren(paragraph(say("details.gone")));
    more.replaceChildren();
    return;
  }
  document.getElementById("details-name").textContent = nameOf(user);
  facts.replaceChildren(
    list([
      ["column.status", state(look(user.status), statusName(user.status)), since(user.since)],
      ["column.why", winner(user) || say("source.none"), why(user)],
      ["details.uncertain", doubt(user, sources)],
      ["column.rich", state(look(user.rich.state), statusName(user.rich.state))],
      ["column.phone", state(phoneLook(user.telephony), name("phone", user.telephony))],
    ]),
  );
  more.replaceChildren(
    heading(say("details.sources")),
    Object.keys(user.sources).length ? said(user.sources) : paragraph(say("details.silent")),
    heading(say("details.names")),
    list([
      ["names.login", user.login],
      ["names.upn", user.upn],
      ["names.sip", user.sip_uri],
      ["names.extension", user.extension],
      ["names.voicemail", user.voicemail],
    ]),
  );
}

/** Returns the state from each source. */
function said(sources) {
  return list(
    Object.entries(sources).map(([source, one]) => [
      null,
      state(look(one.state), statusName(one.state)),
      [one.reason && reason(one.reason, source), since(one.since), one.uncertain && say("details.uncertain.one")].filter(Boolean).join(", "),
      sourceName(source),
    ]),
  );
}

/** Returns names and values from [key of the name, value, text below, name instead of a key]; those without a value are left out. */
function list(rows) {
  const made = document.createElement("dl");
  made.className = "facts";
  for (const [key, value, below, title] of rows.filter((row) => row[1])) {
    const term = document.createElement("dt");
    term.textContent = title ?? say(key);
    const found = document.createElement("dd");
    found.append(value);
    if (below) found.append(Object.assign(document.createElement("span"), { className: "soft", textContent: below }));
    made.append(term, found);
  }
  return made;
}

function state(shape, word) {
  const made = Object.assign(document.createElement("span"), { className: "rows__state" });
  const icon = makeIcon();
  drawIcon(icon, shape);
  made.append(icon, word);
  return made;
}

const heading = (words) => Object.assign(document.createElement("h3"), { textContent: words });
const paragraph = (words) => Object.assign(document.createElement("p"), { textContent: words });
