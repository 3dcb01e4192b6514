// Helpers of all parts of the page: elements, requests, messages.

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

/** Send a request and return the JSON of the answer, or null; throws an Error with the answer's `error`. */
export async function ask(method, path, body, type = "application/json") {
  const options = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = type;
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  const answer = await fetch(`/_emulator/${path}`, options);
  const value = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(value?.error ?? `The cloud answered ${answer.status}.`);
  return value;
}

let hiding = 0;

/** Show a message for some seconds. */
export function notify(text, bad = false) {
  const message = $("#message");
  message.textContent = text;
  message.classList.toggle("is-bad", bad);
  message.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { message.hidden = true; }, bad ? 15000 : 4000);
}

/** Do something that a person asked for, and show a message when it is done or failed. */
export async function attempt(work, done = "") {
  try {
    await work();
    if (done) notify(done);
    return true;
  } catch (error) {
    notify(error.message, true);
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

/** Fill a list with rows, or with one line if there are none. */
export function list(element, rows, none) {
  element.replaceChildren(...(rows.length ? rows : [h("li", { class: "none" }, none)]));
}

/** Return a listener that calls `work` when typing has paused. */
export function settled(work, ms = 250) {
  let waiting = 0;
  return () => { clearTimeout(waiting); waiting = setTimeout(work, ms); };
}
