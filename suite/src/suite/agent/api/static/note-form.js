// The note about one colleague: shown, written, changed and cleared, with the notes of the last day.

import { Refusal, check } from "./events.js";
import { clock, maybe, onLanguage, say } from "./words.js";

const KEPT = "presence-agent.author";
const HOUR_S = 3600;
const ENDS = { cleared: null, hour: HOUR_S, hours: 4 * HOUR_S, day: 24 * HOUR_S, week: 7 * 24 * HOUR_S };

const at = (id) => document.getElementById(id);
const [section, form, text, author, until, clear] = ["note", "note-form", "note-text", "note-author", "note-until", "note-clear"].map(at);

let about = "";
let note = null;
let asked = 0;

/** Shows whether notes can be written. Old agents have no notes. */
export const offerNotes = (can) => {
  section.hidden = !can;
};

/** Shows the note about a colleague, and lets it be changed. */
export function openNote(user, found) {
  about = user;
  text.value = found?.text ?? "";
  until.value = "cleared";
  author.value ||= kept();
  tell("");
  drawNote(found);
}

/** Draws the current note again, but keeps text that is being typed. */
export function drawNote(found) {
  note = found;
  at("note-now").hidden = !note;
  clear.hidden = !note;
  at("note-now-text").textContent = note?.text ?? "";
  at("note-now-by").textContent = note ? byline(note) : "";
  drawHistory();
}

/** Returns the author of a note, its time, and its end. */
export function byline(one) {
  const ends = one.expires_at ? say("note.ends", { time: clock(one.expires_at) }) : "";
  return [one.author, clock(one.written_at), ends].filter(Boolean).join(", ");
}

const address = (part) => `/v1/users/${encodeURIComponent(about)}/${part}`;

async function drawHistory() {
  if (section.hidden) return;
  const mine = ++asked;
  try {
    const answer = await check(await fetch(address("notes"), { cache: "no-store" }));
    const { notes } = await answer.json();
    if (mine !== asked) return;
    at("note-history").replaceChildren(...notes.map(entry));
    at("note-history-none").hidden = notes.length > 0;
  } catch {
    // The stream of events reports that the agent does not answer.
  }
}

function entry(one) {
  const made = document.createElement("li");
  const words = Object.assign(document.createElement("span"), { className: "note__text", textContent: one.cleared ? say("note.cleared") : one.text });
  words.classList.toggle("is-unknown", one.cleared);
  made.append(words, Object.assign(document.createElement("span"), { className: "soft", textContent: byline(one) }));
  return made;
}

async function save() {
  const missing = !text.value.trim() ? [text, "note.fault.text"] : !author.value.trim() ? [author, "note.fault.author"] : null;
  if (missing) {
    tell(missing[1], { isFault: true });
    missing[0].focus();
    return;
  }
  keep(author.value.trim());
  const body = { text: text.value, author: author.value.trim() };
  if (ENDS[until.value]) body.expires_s = ENDS[until.value];
  const headers = { "Content-Type": "application/json" };
  await send("note.saved", { method: "PUT", headers, body: JSON.stringify(body) }, address("note"));
}

async function remove() {
  const who = author.value.trim();
  const whose = about;
  const isDone = await send("note.was-cleared", { method: "DELETE" }, address(`note${who ? `?author=${encodeURIComponent(who)}` : ""}`));
  if (!isDone || whose !== about) return;
  text.value = "";
  text.focus();
}

/** Sends a change, shows the result, and returns true when it succeeded. */
async function send(done, options, where) {
  const whose = about;
  try {
    await check(await fetch(where, options));
    if (whose === about) tell(done);
    return true;
  } catch (error) {
    const isRefusal = error instanceof Refusal;
    const key = isRefusal ? `note.fault.${error.code}` : "note.fault.lost";
    if (whose === about) tell(maybe(key) ? key : "note.fault", { isFault: true, detail: isRefusal && !maybe(key) ? error.message : "" });
    return false;
  }
}

/** Shows the result. */
function tell(key, { isFault = false, detail = "" } = {}) {
  const said = at("note-said");
  said.dataset.key = key;
  said.className = isFault ? "field__fault" : "note__done";
  said.textContent = key ? say(key) : "";
  at("note-detail").textContent = detail;
}

function keep(name) {
  try {
    localStorage.setItem(KEPT, name);
  } catch {
    // The browser does not store it: the name must be typed again next time.
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
clear.addEventListener("click", remove);
onLanguage(() => {
  const chosen = until.value || "cleared";
  until.replaceChildren(...Object.keys(ENDS).map((end) => new Option(say(`note.until.${end}`), end)));
  until.value = chosen;
  if (at("note-said").textContent) at("note-said").textContent = say(at("note-said").dataset.key);
  if (about) drawNote(note);
});
