// Notes about colleagues: those in force, by user. A note may come before its colleague.

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

  /** Notes that the agent tells all notes anew. Those that it does not tell until `complete` are gone. */
  forget() {
    this.#stale = new Set(this.#all.keys());
  }

  /** Returns whose notes are gone. */
  complete() {
    const gone = [...(this.#stale ?? [])];
    for (const id of gone) this.#all.delete(id);
    this.#stale = null;
    return gone;
  }
}
