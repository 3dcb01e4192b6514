// The sign-in, when the agent's settings have a token. The agent sets a cookie, which scripts cannot read.

import { check } from "./events.js";
import { FieldFault } from "./field-fault.js";

const SESSION = "/v1/session";
const RENEW_MS = 3600000; // the cookie lasts twelve hours
const WRONG = { 401: "sign-in.wrong", 429: "sign-in.too-many", 400: "sign-in.wrong" };

const at = (id) => document.getElementById(id);
const [section, form, input, out] = ["sign-in", "sign-in-form", "token", "sign-out"].map(at);
const fault = new FieldFault(input, at("token-fault"));

export class SignIn {
  #done;

  /** done(): called when the browser has been signed in. */
  constructor(done) {
    this.#done = done;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(input.value.trim());
    });
    out.addEventListener("click", () => this.#leave());
    setInterval(() => this.#renew(), RENEW_MS);
    this.#look();
  }

  /** Shows the form for the token instead of the page. */
  ask() {
    document.body.classList.add("is-out");
    section.hidden = false;
    out.hidden = true;
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    input.focus();
  }

  async #send(token) {
    fault.say(token ? "" : "sign-in.empty");
    if (!token) return;
    try {
      const headers = { "Content-Type": "application/json" };
      await check(await fetch(SESSION, { method: "POST", headers, body: JSON.stringify({ token }) }));
    } catch (error) {
      fault.say(WRONG[error.status] ?? "lost.title");
      return;
    }
    input.value = "";
    section.hidden = true;
    document.body.classList.remove("is-out");
    this.#done();
    at("main").focus();
    this.#look();
  }

  /** Shows the button to sign out, if the user is signed in. */
  async #look() {
    const found = await this.#session("GET");
    out.hidden = !(found?.token_needed && found.signed_in);
  }

  async #renew() {
    if (!out.hidden) await this.#session("POST");
  }

  async #leave() {
    await this.#session("DELETE");
    location.reload(); // nothing of what was shown stays
  }

  /** Requests the state of the sign-in; null when the agent does not answer, which the stream of events reports. */
  async #session(method) {
    try {
      return await (await check(await fetch(SESSION, { method, cache: "no-store" }))).json();
    } catch {
      return null;
    }
  }
}
