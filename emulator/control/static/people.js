// People with their live presence; a click on a person shows the actions.

import { $, ask, attempt, h, list, settled } from "/_emulator/kit.js";

const PAGE = 200;
const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  available: [["fill", "M10 1a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z"], ["ink", "m6 10.3 2.7 2.7L14 7.6"]],
  busy: [["fill", "M10 1a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z"]],
  dnd: [["fill", "M10 1a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z"], ["ink", "M6 10h8"]],
  away: [["fill", "M10 1a9 9 0 1 1 0 18 9 9 0 0 1 0-18Z"], ["ink", "M10 5v5.4l3.2 2.2"]],
  offline: [["ring", "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16Z"], ["line", "m7.2 7.2 5.6 5.6m0-5.6-5.6 5.6"]],
  out_of_office: [["ring", "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16Z"], ["line", "M13.5 10h-7m2.8-2.8L6.5 10l2.8 2.8"]],
  unknown: [["ring", "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16Z"]],
};
const NAMES = { dnd: "do not disturb", out_of_office: "out of office" };
const WITH_TEXT = { status_message: "Status message", out_of_office: "Automatic reply" };

const rows = new Map();
let change = 0;
let offset = 0;
let actions = [];

export async function begin(index) {
  actions = index.actions;
  const tenants = index.tenants.map((each) => h("option", { value: each.id }, `${each.name} (${each.people})`));
  $("#people [name=tenant]").append(...tenants);
  const anew = () => { offset = 0; return refresh(true); };
  $("#people [name=search]").addEventListener("input", settled(anew));
  $("#people [name=tenant]").addEventListener("change", anew);
  $("#people form").addEventListener("submit", (event) => { event.preventDefault(); anew(); });
  $("#earlier").addEventListener("click", () => turn(-PAGE));
  $("#later").addEventListener("click", () => turn(PAGE));
}

function turn(by) {
  offset = Math.max(0, offset + by);
  return refresh(true);
}

/** Update the people who changed, or draw the whole page anew. */
export async function refresh(anew = false) {
  const asked = new URLSearchParams({ limit: PAGE, offset, since: anew ? 0 : change });
  for (const name of ["search", "tenant"]) {
    const value = $(`#people [name=${name}]`).value;
    if (value) asked.set(name, value);
  }
  const told = await ask("GET", `people?${asked}`);
  const whole = anew || change === 0;
  change = told.change;
  if (whole) showAll(told);
  else for (const person of told.people) show(person);
}

function showAll(told) {
  rows.clear();
  list($("#people-list"), told.people.map(row), "No person matches.");
  const last = Math.min(offset + PAGE, told.total);
  $("#people-count").textContent = told.total > PAGE ? `${offset + 1} to ${last} of ${told.total}` : `${told.total} people`;
  $("#earlier").disabled = offset === 0;
  $("#later").disabled = last >= told.total;
  $("#people .pages").hidden = told.total <= PAGE;
}

function row(person) {
  const button = h("button", { type: "button", class: "who", "aria-expanded": "false", onclick: () => toggle(person.id) });
  const item = h("li", {}, button);
  rows.set(person.id, { item, button, person });
  show(person);
  return item;
}

function show(person) {
  const known = rows.get(person.id);
  if (!known) return;
  known.person = person;
  const state = NAMES[person.look] ?? person.look;
  known.button.replaceChildren(
    dot(person.look),
    h("span", {}, h("strong", {}, person.name), h("small", {}, person.upn)),
    h("span", { class: "words" }, h("span", {}, words(person)), h("span", {}, devices(person))),
  );
  known.button.setAttribute("aria-label", `${person.name}, ${person.upn}: ${state}, ${words(person)}, ${devices(person)}`);
  const facts = known.item.querySelector(".facts");
  if (facts) facts.textContent = about(person);
}

function dot(look) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("viewBox", "0 0 20 20");
  drawn.setAttribute("class", `dot dot--${look}`);
  drawn.setAttribute("aria-hidden", "true");
  for (const [kind, path] of SHAPES[look] ?? SHAPES.unknown) {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("class", kind);
    line.setAttribute("d", path);
    drawn.append(line);
  }
  return drawn;
}

function words(person) {
  return person.availability === person.activity ? person.activity : `${person.availability} / ${person.activity}`;
}

function devices(person) {
  const on = [person.desktop && `desktop ${person.desktop}`, person.mobile && "mobile"].filter(Boolean);
  return on.join(", ") || (person.licensed ? "no device" : "no licence");
}

function about(person) {
  return [
    `Object id ${person.id}`,
    person.living ? "follows the day" : "waits for actions",
    person.status_message && `status message “${person.status_message}”`,
    person.out_of_office && "out of office",
    !person.licensed && "has no licence",
    !person.enabled && "account disabled",
    person.refusal && `grants refused: ${person.refusal}`,
    `sequence ${person.sequence_number || "–"}`,
  ].filter(Boolean).join(" · ");
}

function toggle(id) {
  const { item, button, person } = rows.get(id);
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  item.classList.toggle("is-open", !open);
  if (open) item.querySelector(".more").remove();
  else item.append(more(person));
}

function more(person) {
  const text = h("input", { name: "text", maxlength: "300", autocomplete: "off" });
  return h("div", { class: "more" },
    h("p", { class: "facts soft" }, about(person)),
    h("p", { class: "bar", role: "group", "aria-label": `Actions of ${person.name}` },
      ...actions.map((action) => h("button", { type: "button", onclick: () => act(person.id, action, text.value) }, action.replaceAll("_", " ")))),
    h("label", {}, `Text, for ${Object.values(WITH_TEXT).join(" and ").toLowerCase()}`, text),
  );
}

function act(id, action, text) {
  const body = action in WITH_TEXT ? { action, text } : { action };
  return attempt(async () => show(await ask("POST", `people/${encodeURIComponent(id)}/actions`, body)));
}
