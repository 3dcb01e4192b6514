// A console of the agent: one line of JSON for each change. Node.js 18 or newer, without libraries.
//
//   node console.js http://127.0.0.1:8790 [USER...]
"use strict";

const SILENCE_MS = 60_000; // the agent sends a comment every 15 seconds
const [agent, ...users] = process.argv.slice(2);
const shown = new Map(); // user -> the line that was printed last
let lastEventId = "";
let fresh = null; // users that were sent since `everything`, until `complete`

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function show({ user, status, reason, uncertain }) {
  const line = { user, status, reason, certain: !uncertain };
  fresh?.add(user);
  if (JSON.stringify(shown.get(user)) !== JSON.stringify(line)) print(line);
  shown.set(user, line);
}

function forget(user) {
  if (shown.delete(user)) print({ user, status: "removed", reason: "", certain: true });
}

function take(name, data) {
  if (name === "everything") fresh = new Set();
  else if (name === "state") show(data);
  else if (name === "removed") forget(data.user);
  else if (name === "complete") {
    if (fresh) [...shown.keys()].filter((user) => !fresh.has(user)).forEach(forget);
    fresh = null;
    print({ connected: true });
  } // Events that are newer than this program are ignored.
}

// Reads one stream until it ends, breaks, or is silent for a minute.
async function listen() {
  const query = new URLSearchParams(users.map((user) => ["user", user]));
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const headers = lastEventId ? { "Last-Event-ID": lastEventId } : {};
    const response = await fetch(`${agent}/v1/events?${query}`, { headers, signal: silence.signal });
    if (!response.ok) throw new Error(`the agent answered ${response.status}: ${await response.text()}`);
    let rest = "";
    let event = {};
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const lines = (rest + piece).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
        if (field) event[field] = value;
        else if (line === "") {
          if (event.event) take(event.event, JSON.parse(event.data));
          if (event.id) lastEventId = event.id;
          event = {};
        }
      }
    }
    throw new Error("the agent ended the stream");
  } finally {
    clearTimeout(timer);
  }
}

async function main() {
  if (!agent) {
    console.error("usage: console.js URL [USER...]");
    process.exit(2);
  }
  for (;;) {
    try {
      await listen();
    } catch (error) {
      console.error(`disconnected: ${error.cause?.message ?? error.message}`);
      print({ connected: false }); // what is shown may be old: draw it so
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

main();
