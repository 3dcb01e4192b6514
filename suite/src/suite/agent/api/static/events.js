// The agent's stream of events: reads it, detects a dead connection, and resumes.

const SILENT_MS = 40000; // the agent says something every 15 s
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 10000;

/** An error response of the agent: `code` for programs, `message` for users. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Throws a Refusal if a response of the agent is an error. */
export async function check(answer) {
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({}));
  throw new Refusal(answer.status, error?.code ?? "", error?.message ?? answer.statusText);
}

/**
 * One stream, from `start` to `stop`.
 *
 * take(events): called with the events that arrived together, as [name, data] pairs.
 * changed(state, problem, retryMs): called with "connecting", "live" or "lost"; `problem` is a Refusal, or null without an answer.
 */
export class Stream {
  #address;
  #take;
  #changed;
  #lastId = "";
  #waitMs = FIRST_WAIT_MS;
  #ending = null;
  #wake = () => {};

  constructor(address, take, changed) {
    this.#address = address;
    this.#take = take;
    this.#changed = changed;
  }

  start() {
    this.#ending ??= new AbortController();
    this.#run(this.#ending.signal);
  }

  stop() {
    this.#ending?.abort();
    this.#ending = null;
    this.#wake();
  }

  /** Retries at once instead of at the end of the wait. */
  retry() {
    this.#waitMs = FIRST_WAIT_MS;
    this.#wake();
  }

  async #run(ended) {
    while (!ended.aborted) {
      let problem = null;
      try {
        await this.#read(ended);
      } catch (error) {
        problem = error instanceof Refusal ? error : null;
      }
      if (ended.aborted) return;
      this.#changed("lost", problem, this.#waitMs);
      await this.#wait();
    }
  }

  /** Waits before the next try, with backoff and jitter. */
  async #wait() {
    const waitMs = this.#waitMs * (0.8 + 0.4 * Math.random());
    this.#waitMs = Math.min(LONGEST_WAIT_MS, 2 * this.#waitMs);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #read(ended) {
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENT_MS);
    try {
      const headers = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
      const signal = AbortSignal.any([ended, silent.signal]);
      const answer = await check(await fetch(this.#address, { headers, signal, cache: "no-store", redirect: "error" }));
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || ended.aborted) return;
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENT_MS);
        const blocks = (text + value).split("\n\n");
        text = blocks.pop();
        this.#took(blocks.map((block) => this.#event(block)).filter(Boolean));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #took(events) {
    if (events.length) this.#take(events);
    if (events.some(([name]) => name === "complete")) {
      this.#waitMs = FIRST_WAIT_MS;
      this.#changed("live", null, 0);
    }
  }

  /** Returns the name and the data of one event; null for a comment. */
  #event(block) {
    let name = "";
    let data = "";
    for (const line of block.split("\n")) {
      const at = line.indexOf(": ");
      const field = line.slice(0, at);
      const value = line.slice(at + 2);
      if (field === "event") name = value;
      else if (field === "data") data = value;
      else if (field === "id") this.#lastId = value;
    }
    return name && [name, JSON.parse(data)];
  }
}
