// Which section is shown, and the polling that keeps it live.

import { $, ask, say } from "/_emulator/kit.js";
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
  await look(true);
}

async function look(anew = false) {
  try {
    showTime(await ask("GET", "clock"));
    await SECTIONS[section()].refresh(anew);
    if (lost) say("The cloud is back.");
    lost = false;
  } catch (error) {
    if (!lost) say(`The cloud does not answer: ${error.message}`, true);
    lost = true;
  }
}

async function live() {
  if (!document.hidden) await look();
  setTimeout(live, EVERY_MS);
}

const index = await ask("GET", "");
$("#profile").textContent = index.profile;
for (const part of Object.values(SECTIONS)) await part.begin(index);
addEventListener("hashchange", turn);
await turn();
document.body.dataset.ready = "yes";
setTimeout(live, EVERY_MS);
