// The connection of this page to the agent: whether the shown states are current.

import { clock, onLanguage, say } from "./words.js";

const at = (id) => document.getElementById(id);
const TONES = { connecting: "busy", live: "good", lost: "bad" };

export class Link {
  #state = "connecting";
  #problem = null;
  #seen = "";

  /** retry(): called when the user asks to reconnect now. */
  constructor(retry) {
    at("retry").addEventListener("click", retry);
    onLanguage(() => this.#draw());
  }

  /** Sets the state of the stream: "live", or "lost" with the agent's Refusal, if any. */
  set(state, problem) {
    if (this.#state === "live") this.#seen = new Date().toISOString();
    this.#state = state;
    this.#problem = problem;
    this.#draw();
  }

  #draw() {
    const isLost = this.#state === "lost" && this.#problem?.status !== 401; // the sign-in says that
    at("link").textContent = say(`link.${this.#state}`);
    at("link").className = `chip chip--${TONES[this.#state]}`;
    document.body.classList.toggle("is-lost", isLost);
    at("lost").hidden = !isLost;
    if (!isLost) return;
    at("lost-title").textContent = say(this.#problem ? "lost.refused" : "lost.title");
    const seen = this.#seen ? say("lost.seen", { time: clock(this.#seen) }) : "";
    at("lost-text").textContent = [seen, say(this.#problem ? "lost.again" : "lost.text")].filter(Boolean).join(" ");
    at("lost-said").textContent = this.#problem?.message ?? "";
    at("lost-said").hidden = !this.#problem;
  }
}
