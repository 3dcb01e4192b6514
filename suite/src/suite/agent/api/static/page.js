// The page of the agent: it draws one stream of events.

import { drawConnections } from "./connections.js";
import { about, drawDetails, openDetails } from "./details.js";
import { Stream } from "./events.js";
import { Link } from "./link.js";
import { drawNote, offerNotes } from "./note-form.js";
import { Notes } from "./notes.js";
import { People } from "./people.js";
import { drawRow, makeRow } from "./row.js";
import { Rows } from "./rows.js";
import { SignIn } from "./sign-in.js";
import { Watch } from "./watch.js";
import { name, number, onLanguage, say, values } from "./words.js";

const LOADING_MS = 250; // between two drawings while everybody comes
const at = (id) => document.getElementById(id);
const [byUser, byRich, byPhone] = ["by-user", "by-rich", "by-phone"].map(at);

const people = new People();
const notes = new Notes();
const rows = new Rows(at("list"), () => makeRow(open), draw);
const watch = new Watch(() => sources);
const link = new Link(() => stream.retry());
const stream = new Stream("/v1/events", take, connected);
const signIn = new SignIn(() => stream.start());
let sources = {};
let feeds = {}; // the telephone systems that the agent tells; older agents tell none
let ofNotes = null; // where notes are kept; null when the agent has none
let ofPhones = null; // the SIP server; null when the agent has none
let isComplete = false;
let listTimer = 0;

/** Applies events in the order in which the agent sent them. */
function take(events) {
  for (const [kind, data] of events) {
    if (kind === "state") people.put(data);
    else if (kind === "note") notes.put(data.user, data.note);
    else if (kind === "removed") people.remove(data.user);
    else if (kind === "sources") setSources(data);
    else if (kind === "everything") {
      people.forget();
      notes.forget();
    } else if (kind === "complete") complete();
    if (data.user) changed(data.user, kind);
  }
  listSoon();
}

function changed(id, kind) {
  rows.changed(id);
  if (about() !== id) return;
  if (kind === "note") drawNote(notes.find(id));
  else drawDetails(people.find(id), sources);
}

function complete() {
  people.complete();
  for (const id of notes.complete()) changed(id, "note");
  isComplete = true;
}

function setSources(found) {
  sources = found.sources;
  feeds = found.feeds ?? {};
  ofNotes = found.notes ?? null;
  ofPhones = found.phones ?? null;
  offerNotes(ofNotes !== null);
  drawConnections(sources, feeds, ofNotes, ofPhones);
  rows.redraw(); // why somebody is uncertain depends on the connections
  watch.draw();
  if (about()) drawDetails(people.find(about()), sources);
}

function draw(row, id) {
  const user = people.find(id);
  if (user) drawRow(row, user, sources, notes.find(id));
}

function connected(state, problem) {
  link.set(state, problem);
  if (problem?.status !== 401) return;
  stream.stop();
  signIn.ask();
}

/** Schedules a new list: in the next frame, or less often while all colleagues are being sent. */
function listSoon() {
  if (listTimer) return;
  listTimer = setTimeout(() => {
    listTimer = 0;
    list();
  }, isComplete ? 16 : LOADING_MS);
}

function list() {
  const filter = { text: byUser.value, rich: byRich.value, phone: byPhone.value };
  const shown = people.shown(filter);
  rows.show(shown);
  const said = isComplete ? say("shown", { shown: number(shown.length), all: number(people.size) }) : say("loading");
  if (at("shown").textContent !== said) at("shown").textContent = said;
  at("list").hidden = !shown.length;
  at("nobody").hidden = shown.length > 0 || !isComplete;
  at("everybody").hidden = !people.size;
  at("nobody-text").textContent = say(people.size ? "nobody.matches" : "nobody");
}

function open(id) {
  openDetails(people.find(id), sources, notes.find(id), (closed) => rows.focus(closed));
}

/** Announces the number of shown colleagues to screen readers after a change of a filter. */
let sayTimer = 0;
function filtered() {
  list();
  scrollTo({ top: Math.min(scrollY, at("filters").getBoundingClientRect().top + scrollY), behavior: "instant" });
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => {
    at("shown-said").textContent = at("shown").textContent;
  }, 500);
}

function options(select, kind, any) {
  const chosen = select.value;
  select.replaceChildren(new Option(say(any), ""), ...values(kind).map((value) => new Option(name(kind, value), value)));
  select.value = chosen;
}

onLanguage(() => {
  options(byRich, "rich", "filter.any");
  options(byPhone, "phone", "filter.any");
  people.resort();
  drawConnections(sources, feeds, ofNotes, ofPhones);
  rows.redraw();
  list();
  if (about()) drawDetails(people.find(about()), sources);
});
at("filters").addEventListener("input", filtered);
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("everybody").addEventListener("click", () => {
  at("filters").reset();
  filtered();
  byUser.focus();
});
addEventListener("online", () => stream.retry());
document.addEventListener("visibilitychange", () => document.hidden || stream.retry());
stream.start();
