// What every part of the page uses: elements, requests, and what is said to the person.

export function $(selector) {
  return document.querySelector(selector);
}

/** An element with attributes (`on…`: listeners) and children; texts are texts, never markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** The JSON of an answer; null when it has none. Throws what the answer says is wrong. */
export async function ask(method, path, body, type = "application/json") {
  const options = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = type;
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  const answer = await fetch(`/_emulator/${path}`, options);
  const told = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(told?.error ?? `The cloud answered ${answer.status}.`);
  return told;
}

let hiding = 0;

export function say(text, bad = false) {
  const said = $("#said");
  said.textContent = text;
  said.classList.toggle("is-bad", bad);
  said.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { said.hidden = true; }, bad ? 15000 : 4000);
}

/** Do something on a person's behalf, and say how it went. */
export async function attempt(work, done = "") {
  try {
    await work();
    if (done) say(done);
    return true;
  } catch (error) {
    say(error.message, true);
    return false;
  }
}

/** The fields of a form that were filled in: numbers as numbers, ticked boxes as true. */
export function filled(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") { if (field.checked) values[field.name] = true; }
    else if (field.value !== "") values[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return values;
}

/** Have the rows of a list, or one line that says that there are none. */
export function list(element, rows, none) {
  element.replaceChildren(...(rows.length ? rows : [h("li", { class: "none" }, none)]));
}

/** Have listeners call `work` when nothing was typed for a moment. */
export function settled(work, ms = 250) {
  let waiting = 0;
  return () => { clearTimeout(waiting); waiting = setTimeout(work, ms); };
}
