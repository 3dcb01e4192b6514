// The texts of the page from words.json, in the browser's language or the chosen one.

const LANGUAGES = { en: "English", it: "Italiano" };
const KEPT = "presence-agent.language";

const words = await (await fetch("/page/words.json")).json();
const listeners = [];
let language = kept() ?? navigator.languages.map((one) => one.slice(0, 2)).find((one) => one in LANGUAGES) ?? "en";
let collator;
let clocks;

/** Returns the text of a key, with {name} replaced by `values.name`; undefined when there is none. */
export function maybe(key, values = {}) {
  return words[key]?.[language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Returns the text of a key, with {name} replaced by `values.name`. */
export function say(key, values) {
  return maybe(key, values) ?? key;
}

/** Returns the text of a value from the agent, such as a status; a new value is returned unchanged. */
export function name(kind, value) {
  return maybe(`${kind}.${value}`) ?? value.replaceAll("_", " ");
}

/** Returns all of the agent's values of a kind, such as every status. */
export function values(kind) {
  const start = `${kind}.`;
  return Object.keys(words).filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
}

export const number = (value) => value.toLocaleString(language);
export const compare = (one, other) => collator.compare(one, other);

/** Formats a moment for users: the time, and the date if it is not today. */
export function clock(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  return clocks[at.toDateString() === new Date().toDateString() ? 0 : 1].format(at);
}

/** Calls `listener` now and after each change of the language. */
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

/** Fills in the texts of all elements with a key. */
function write() {
  document.documentElement.lang = language;
  collator = new Intl.Collator(language, { numeric: true, sensitivity: "base" });
  clocks = [
    new Intl.DateTimeFormat(language, { timeStyle: "short" }),
    new Intl.DateTimeFormat(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  ];
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-word-label]")) element.ariaLabel = say(element.dataset.wordLabel);
}

function choose(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // The browser does not store it: the language applies until the user leaves the page.
  }
  for (const listener of listeners) listener();
}

function kept() {
  try {
    const found = localStorage.getItem(KEPT);
    return found in LANGUAGES ? found : null;
  } catch {
    return null;
  }
}

onLanguage(write);

const buttons = Object.entries(LANGUAGES).map(([code, own]) => {
  const button = document.createElement("button");
  button.type = "button";
  button.lang = code;
  button.textContent = own;
  button.addEventListener("click", () => choose(code));
  return button;
});
document.getElementById("languages").replaceChildren(...buttons);
onLanguage(() => {
  for (const button of buttons) button.ariaCurrent = button.lang === language ? "true" : null;
});
