// All colleagues that the agent sent, in the order of their names, and those that match the filters.

import { nameOf } from "./explain.js";
import { compare } from "./words.js";

export class People {
  #all = new Map(); // user -> { user, name, text }
  #order = [];
  #isSorted = true;
  #stale = null; // those who have not been told again since `everything`

  get size() {
    return this.#all.size;
  }

  find(id) {
    return this.#all.get(id)?.user;
  }

  /** Call it when the agent sends all colleagues again. Those that it has not sent at `complete` are removed. */
  forget() {
    this.#stale = new Set(this.#all.keys());
  }

  complete() {
    for (const id of this.#stale ?? []) this.remove(id);
    this.#stale = null;
  }

  put(user) {
    const before = this.#all.get(user.user);
    const name = nameOf(user);
    if (before?.name !== name) this.#isSorted = false;
    const text = [user.login, user.upn, user.sip_uri, user.extension].join("\n").toLowerCase();
    this.#all.set(user.user, { user, name, text });
    this.#stale?.delete(user.user);
  }

  remove(id) {
    if (this.#all.delete(id)) this.#isSorted = false;
  }

  /** Sorts again, because each language has its own order. */
  resort() {
    this.#isSorted = false;
  }

  /** Returns the ids of colleagues that match the filters, in the order of their names. */
  shown({ text, rich, phone }) {
    if (!this.#isSorted) {
      const entries = [...this.#all.values()].sort((one, other) => compare(one.name, other.name));
      this.#order = entries.map((entry) => entry.user.user);
      this.#isSorted = true;
    }
    const part = text.trim().toLowerCase();
    return this.#order.filter((id) => {
      const entry = this.#all.get(id);
      const { user } = entry;
      return (!part || entry.text.includes(part)) && (!rich || user.rich.state === rich) && (!phone || user.telephony === phone);
    });
  }
}
