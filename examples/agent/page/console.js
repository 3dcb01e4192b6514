// A console of the agent in a web page: console.html?agent=http://127.0.0.1:8790&user=ada&user=ben
// The agent's settings name the page's origin: Agent.Origins = https://console.example
"use strict";

const WORDS = {
  available: "Available", available_idle: "Available, idle", busy: "Busy", busy_idle: "Busy, idle", in_a_call: "In a call",
  in_a_meeting: "In a meeting", do_not_disturb: "Do not disturb", presenting: "Presenting", focusing: "Focusing", away: "Away",
  be_right_back: "Be right back", out_of_office: "Out of office", offline: "Offline", phone_free: "Phone free", phone_ringing: "Phone ringing",
  on_the_phone: "On the phone", forwarded_to_voicemail: "Forwarded to voicemail", forwarded_to_number: "Forwarded",
};
const GREEN = ["available", "available_idle", "phone_free"];
const YELLOW = ["away", "be_right_back", "out_of_office", "forwarded_to_voicemail", "forwarded_to_number"];

const asked = new URLSearchParams(location.search);
const agent = asked.get("agent") ?? "http://127.0.0.1:8790";
const users = asked.getAll("user").map((user) => ["user", user]);
const list = document.getElementById("colleagues");
const rows = new Map(); // user -> the row of the list

function show(colleague) {
  const row = rows.get(colleague.user) ?? list.appendChild(document.createElement("li"));
  rows.set(colleague.user, row);
  // A status that is newer than this page is drawn as unknown. Names are text, never HTML.
  const words = WORDS[colleague.status] ?? `Unknown${colleague.reason && ` (${colleague.reason})`}`;
  const told = document.createElement("span");
  told.textContent = words;
  row.replaceChildren(colleague.login || colleague.user, told);
  row.className = colleague.uncertain ? "uncertain" : "";
  const known = colleague.status in WORDS && colleague.status !== "offline";
  const colour = GREEN.includes(colleague.status) ? "green" : YELLOW.includes(colleague.status) ? "goldenrod" : "crimson";
  row.style.setProperty("--colour", known ? colour : "gray");
}

function forget(user) {
  rows.get(user)?.remove();
  rows.delete(user);
}

function connected(isConnected, words) {
  document.getElementById("connection").textContent = words;
  list.className = isConnected ? "" : "cut"; // what is shown may be old
}

function listen() {
  const events = new EventSource(`${agent}/v1/events?${new URLSearchParams(users)}`);
  events.addEventListener("everything", () => [...rows.keys()].forEach(forget));
  events.addEventListener("state", (event) => show(JSON.parse(event.data)));
  events.addEventListener("removed", (event) => forget(JSON.parse(event.data).user));
  events.addEventListener("complete", () => connected(true, "Live"));
  events.onerror = () => {
    connected(false, "The agent does not answer. Trying again …");
    // The browser resumes by itself after a break, but not after an answer such as 503.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}
listen();
