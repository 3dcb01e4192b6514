// The panels: grants, faults, switches, clock with snapshots, journal, gaps.

import { $, ask, attempt, filled, h, list, settled } from "/_emulator/kit.js";

// Grants

export const grants = {
  begin(index) {
    $("#grants [name=kind]").append(...index.deaths.map((kind) => h("option", {}, kind)));
  },
  async refresh() {
    const told = await ask("GET", "grants");
    list($("#grants-list"), told.grants.slice(0, 200).map(grantRow), "No consents yet.");
  },
};

function grantRow(grant) {
  const everybody = grant.person === "*";
  const what = h("span", { class: "what" }, everybody ? `Everybody in ${grant.tenant}` : grant.upn || grant.person,
    h("small", {}, `${grant.scopes.join(", ")} · application ${grant.client_id}`));
  if (everybody) return h("li", {}, what);
  const account = grant.person;
  const revoke = () => attempt(async () => {
    const asked = filled($("#grants form"));
    await ask("POST", "grants/revoke", { account, ...asked });
    await grants.refresh();
  }, `${grant.upn}: revoked.`);
  const restore = () => attempt(() => ask("POST", "grants/restore", { account }), `${grant.upn}: restored.`);
  return h("li", {}, what,
    h("button", { type: "button", onclick: revoke, "aria-label": `Revoke ${grant.upn}` }, "Revoke"),
    h("button", { type: "button", onclick: restore, "aria-label": `Restore ${grant.upn}` }, "Restore"));
}

// Faults

export const faults = {
  async begin() {
    const described = await ask("GET", "openapi.json");
    const kinds = described.components.schemas.Fault.properties.damage.enum;
    $("#fault-form [name=damage]").append(...kinds.map((kind) => h("option", { value: kind }, kind || "none")));
    $("#fault-form").addEventListener("submit", (event) => { event.preventDefault(); put(); });
    $("#faults-clear").addEventListener("click", () => remove("faults"));
  },
  async refresh() {
    const told = await ask("GET", "faults");
    list($("#faults-list"), told.faults.slice(0, 200).map(faultRow), "No faults.");
  },
};

function put() {
  const { retry_after: seconds, ...fault } = filled($("#fault-form"));
  if (seconds !== undefined) fault.headers = { "Retry-After": String(seconds) };
  return attempt(async () => { await ask("POST", "faults", fault); await faults.refresh(); }, "Fault added.");
}

function remove(path) {
  return attempt(async () => { await ask("DELETE", path); await faults.refresh(); });
}

function faultRow({ id, until, for_s: span, ...fault }) {
  const usual = { probability: 1, latency_ms: 0 };
  const told = Object.entries(fault).filter(([name, value]) => value && value !== usual[name] && Object.keys(Object(value)).length !== 0 || typeof value === "number" && value !== (usual[name] ?? 0));
  const words = told.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
  const ends = until ? ` · until ${OF_DAY.format(new Date(until * 1000))}` : "";
  return h("li", {}, h("span", { class: "what" }, `${words || "nothing"}${ends}`),
    h("button", { type: "button", onclick: () => remove(`faults/${id}`), "aria-label": `Remove fault ${id}` }, "Remove"));
}

// Switches

export const switches = {
  begin() {
    $("#switch-search").addEventListener("input", settled(find, 50));
    $("#profile-file").addEventListener("change", load);
    $("#profile-save").addEventListener("click", () => attempt(save));
  },
  async refresh() {
    const told = await ask("GET", "switches/described");
    if ($("#switch-list").contains(document.activeElement)) return; // somebody is filling a field in
    $("#switch-list").replaceChildren(...told.switches.map(switchRow));
    find();
  },
};

function switchRow(one) {
  const field = fieldOf(one);
  const changed = JSON.stringify(one.value) !== JSON.stringify(one.default);
  field.addEventListener("change", () => attempt(async () => {
    await ask("PUT", "switches", { [one.name]: valueOf(one, field) });
    field.blur();
    await switches.refresh();
  }, `${one.name} set.`));
  return h("div", { class: changed ? "switch is-changed" : "switch", "data-name": one.name },
    h("label", {}, one.name, field),
    h("p", {}, one.about, changed ? ` Default: ${JSON.stringify(one.default)}.` : ""));
}

function fieldOf({ kind, value }) {
  if (kind.enum) {
    const choices = kind.enum.map((each) => h("option", { value: JSON.stringify(each), selected: each === value }, String(each) || "–"));
    return h("select", {}, ...choices);
  }
  if (kind.type === "boolean") return h("input", { type: "checkbox", checked: value });
  if (kind.type === "integer" || kind.type === "number") {
    return h("input", { type: "number", step: kind.type === "integer" ? "1" : "any", min: kind.minimum, max: kind.maximum, value });
  }
  return h("input", { value: kind.type === "string" ? value : JSON.stringify(value), autocomplete: "off" });
}

function valueOf({ kind }, field) {
  if (kind.enum) return JSON.parse(field.value);
  if (kind.type === "boolean") return field.checked;
  if (kind.type === "string") return field.value;
  try {
    return JSON.parse(field.value);
  } catch {
    throw new Error(field.value ? `${field.value} is not JSON.` : "Enter a value in JSON.");
  }
}

function find() {
  const word = $("#switch-search").value.toLowerCase();
  for (const one of $("#switch-list").children) one.hidden = !one.textContent.toLowerCase().includes(word);
}

function load(event) {
  const [file] = event.target.files;
  if (!file) return;
  attempt(async () => {
    await ask("PUT", "profile", await file.text(), "application/toml");
    event.target.value = "";
    await switches.refresh();
  }, `${file.name} loaded.`);
}

async function save() {
  const answer = await fetch("/_emulator/profile", { headers: { accept: "application/toml" } });
  const url = URL.createObjectURL(await answer.blob());
  h("a", { href: url, download: "profile.toml" }).click();
  URL.revokeObjectURL(url);
}

// Clock

const SPEEDS = { Stop: 0, "1 ×": 1, "10 ×": 10, "60 ×": 60, "600 ×": 600 };
const STEPS = { "1 minute": 60, "10 minutes": 600, "1 hour": 3600, "8 hours": 28800 };

export const clock = {
  begin() {
    const set = (body, done) => attempt(async () => showTime(await ask("PUT", "clock", body)), done);
    $("#speeds").append(...Object.entries(SPEEDS).map(([name, speed]) => h("button", { type: "button", onclick: () => set({ speed }) }, name)));
    $("#steps").append(...Object.entries(STEPS).map(([name, seconds]) => h("button", { type: "button", onclick: () => set({ advance_s: seconds }, `Stepped by ${name}.`) }, name)));
    $("#clock-form").addEventListener("submit", (event) => { event.preventDefault(); set(filled(event.target)); });
    $("#snapshot-form").addEventListener("submit", (event) => { event.preventDefault(); snapshot("PUT", event.target.elements.name.value, "", "taken"); });
    $("#reset").addEventListener("click", () => attempt(() => ask("POST", "reset"), "Everything was reset."));
  },
  async refresh() {
    const told = await ask("GET", "snapshots");
    list($("#snapshots"), told.snapshots.map(snapshotRow), "No snapshots.");
  },
};

function snapshot(method, name, then, done) {
  return attempt(async () => {
    await ask(method, `snapshots/${encodeURIComponent(name)}${then}`);
    await clock.refresh();
  }, `${name} ${done}.`);
}

function snapshotRow(name) {
  return h("li", {}, h("span", { class: "what" }, name),
    h("button", { type: "button", onclick: () => snapshot("POST", name, "/restore", "restored"), "aria-label": `Restore ${name}` }, "Restore"),
    h("button", { type: "button", onclick: () => snapshot("DELETE", name, "", "deleted"), "aria-label": `Delete ${name}` }, "Delete"));
}

const CALENDAR = new Intl.DateTimeFormat("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" });
const OF_DAY = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Show the world's time and the speed in the head. */
export function showTime({ date, speed }) {
  const told = CALENDAR.format(new Date(date));
  for (const place of ["#date", "#clock-date"]) $(place).textContent = `${told} UTC`;
  $("#speed").textContent = speed === 0 ? "stopped" : `${speed} ×`;
  const field = $("#clock-form [name=speed]");
  if (document.activeElement !== field) field.value = speed;
}

// Journal

const SHOWN = 200;
let newest = 0;

export const journal = {
  begin() {
    const anew = () => attempt(() => journal.refresh(true));
    $("#journal-form").addEventListener("input", settled(anew));
    $("#journal-form").addEventListener("submit", (event) => { event.preventDefault(); anew(); });
    $("#journal-clear").addEventListener("click", () => attempt(async () => { await ask("DELETE", "journal"); await journal.refresh(true); }));
  },
  async refresh(anew = false) {
    const asked = new URLSearchParams({ limit: SHOWN, after: anew ? 0 : newest, ...filled($("#journal-form")) });
    const told = await ask("GET", `journal?${asked}`);
    const lines = $("#journal-list");
    if (anew || told.total < newest) lines.replaceChildren();
    newest = told.total;
    lines.prepend(...told.entries.reverse().map(line));
    while (lines.children.length > SHOWN) lines.lastChild.remove();
  },
};

function line(entry) {
  return h("tr", {},
    h("td", { class: "number" }, OF_DAY.format(new Date(entry.utc * 1000))),
    h("td", { class: entry.status >= 400 || entry.reason ? "is-refused" : "" }, String(entry.status)),
    h("td", { class: "path" }, `${entry.method} ${entry.path}${entry.query ? `?${entry.query}` : ""}${entry.count ? ` · ${entry.count} ids` : ""}`),
    h("td", { class: "number" }, entry.ms.toFixed(1)),
    h("td", {}, entry.reason));
}

// Gaps

const FIGURES = { count: "gaps", p50_s: "p50, s", p99_s: "p99, s", p999_s: "p99.9, s", max_s: "longest, s", open_max_s: "longest open, s", over_s: "measured for, s" };

export const gaps = {
  begin() {
    const measure = (enabled) => attempt(async () => { await ask("PUT", "gaps", { enabled }); await gaps.refresh(); });
    $("#gaps-on").addEventListener("click", () => measure(true));
    $("#gaps-off").addEventListener("click", () => measure(false));
  },
  async refresh() {
    const told = await ask("GET", "gaps");
    const figures = Object.entries(FIGURES).map(([name, words]) => h("div", {}, h("dt", {}, words), h("dd", {}, String(told[name] ?? "–"))));
    $("#gaps-list").replaceChildren(h("div", {}, h("dt", {}, "now"), h("dd", {}, told.enabled ? "measuring" : "stopped")), ...figures);
  },
};
