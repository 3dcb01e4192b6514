// Current notes about colleagues, by user. A note may arrive before its colleague.

export class Notes {
  #all = new Map();
  #stale = null; // those who have not been told again since `everything`

  find(id) {
    return this.#all.get(id) ?? null;
  }

  put(id, note) {
    if (note) this.#all.set(id, note);
    else this.#all.delete(id);
    this.#stale?.delete(id);
  }

  /** Call it when the agent sends all notes again. Those that it has not sent at `complete` are removed. */
  forget() {
    this.#stale = new Set(this.#all.keys());
  }

  /** Returns the users whose notes were removed. */
  complete() {
    const gone = [...(this.#stale ?? [])];
    for (const id of gone) this.#all.delete(id);
    this.#stale = null;
    return gone;
  }
}
