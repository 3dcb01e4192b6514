// The sections of the page, and the polling that keeps the shown one live.

import { $, ask, notify } from "/_emulator/kit.js";
import { clock, faults, gaps, grants, journal, showTime, switches } from "/_emulator/panels.js";
import * as people from "/_emulator/people.js";

const EVERY_MS = 1000;
const SECTIONS = { people, grants, faults, switches, clock, journal, gaps };
let lost = false;

function section() {
  const name = location.hash.slice(1);
  return name in SECTIONS ? name : "people";
}

async function turn() {
  const name = section();
  for (const each of Object.keys(SECTIONS)) {
    $(`#${each}`).hidden = each !== name;
    const link = $(`nav a[href="#${each}"]`);
    if (each === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $(`nav a[href="#${name}"]`).scrollIntoView({ block: "nearest", inline: "center" });
  await update(true);
}

async function update(anew = false) {
  try {
    showTime(await ask("GET", "clock"));
    await SECTIONS[section()].refresh(anew);
    if (lost) notify("The cloud answers again.");
    lost = false;
  } catch (error) {
    if (!lost) notify(`The cloud cannot be reached: ${error.message}`, true);
    lost = true;
  }
}

async function live() {
  if (!document.hidden) await update();
  setTimeout(live, EVERY_MS);
}

const index = await ask("GET", "");
$("#profile").textContent = index.profile;
for (const part of Object.values(SECTIONS)) await part.begin(index);
addEventListener("hashchange", turn);
await turn();
document.body.dataset.ready = "yes";
setTimeout(live, EVERY_MS);
