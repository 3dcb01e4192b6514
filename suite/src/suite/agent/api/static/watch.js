// Watch one person for a minute, with a separate stream. The agent counts it as a console that watches this name.

import { Stream } from "./events.js";
import { below, nameOf, statusName, why, winner } from "./explain.js";
import { FieldFault } from "./field-fault.js";
import { drawIcon, look } from "./looks.js";
import { onLanguage, say } from "./words.js";

const WATCH_MS = 60000;

const at = (id) => document.getElementById(id);
const [form, input, box] = ["watch", "watch-name", "watched"].map(at);
const fault = new FieldFault(input, at("watch-fault"));

export class Watch {
  #sources;
  #stream = null;
  #user = null;
  #asked = "";
  #ends = 0;
  #timer = 0;

  /** sources(): returns source -> the state of its connection. */
  constructor(sources) {
    this.#sources = sources;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin(input.value.trim());
    });
    at("watched-stop").addEventListener("click", () => {
      this.#end();
      input.focus();
    });
    onLanguage(() => this.draw());
  }

  #begin(asked) {
    this.#end();
    fault.say(asked ? "" : "watch.empty");
    if (!asked) return;
    this.#asked = asked;
    this.#ends = Date.now() + WATCH_MS;
    this.#stream = new Stream(
      `/v1/events?user=${encodeURIComponent(asked)}`,
      (events) => this.#take(events),
      (state, problem) => {
        if (problem?.status === 400) {
          this.#end();
          fault.say("watch.wrong");
        } else if (problem?.status === 503) {
          this.#end();
          fault.say("watch.full");
        }
      },
    );
    this.#stream.start();
    this.#timer = setInterval(() => this.#tick(), 1000);
    box.hidden = false;
    this.draw();
  }

  #end() {
    this.#stream?.stop();
    clearInterval(this.#timer);
    this.#stream = this.#user = null;
    box.hidden = true;
  }

  #tick() {
    const left = Math.ceil((this.#ends - Date.now()) / 1000);
    if (left > 0) at("watched-left").textContent = say("watch.left", { seconds: left });
    else this.#end();
  }

  #take(events) {
    for (const [kind, data] of events) if (kind === "state") this.#user = data;
    this.draw();
  }

  /** Draws it again. */
  draw() {
    if (!this.#stream) return;
    this.#tick();
    const user = this.#user;
    drawIcon(box.querySelector("svg"), look(user?.status ?? "unknown"));
    at("watched-name").textContent = user ? nameOf(user) : this.#asked;
    at("watched-status").textContent = user ? statusName(user.status) : say("watch.waiting");
    const because = user && [user.reason ? "" : winner(user), user.reason ? "" : why(user), below(user, this.#sources())];
    at("watched-why").textContent = because ? because.filter(Boolean).join(" · ") : "";
  }
}
