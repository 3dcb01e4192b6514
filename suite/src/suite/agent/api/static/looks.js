// Shape and colour of each state. The shapes are SVG symbols in the page.

const OF_PHONES = { idle: "phone_free", ringing: "phone_ringing", busy: "on_the_phone" };
const SAME_SHAPE = { on_the_phone: "in_a_call", busy_idle: "available_idle" };
const TONES = {
  available: "green", phone_free: "green",
  available_idle: "orange", away: "orange", be_right_back: "orange", out_of_office: "orange", phone_ringing: "orange",
  busy: "red", busy_idle: "red", in_a_call: "red", in_a_meeting: "red", on_the_phone: "red",
  do_not_disturb: "red", presenting: "red", focusing: "red",
  forwarded_to_voicemail: "blue", forwarded_to_number: "blue",
};
/** Shape and colour of an unknown state. */
export const UNKNOWN = { shape: "#icon-unknown", tone: "grey" };

/** Returns shape and colour of a rich state or a shown status; for a new one, those of unknown. */
export function look(state) {
  if (state === "unknown") return UNKNOWN;
  const shape = `icon-${SAME_SHAPE[state] ?? state}`;
  return document.getElementById(shape) ? { shape: `#${shape}`, tone: TONES[state] ?? "grey" } : UNKNOWN;
}

/** Returns shape and colour of a phone's state. */
export const phoneLook = (state) => look(OF_PHONES[state] ?? state);

/** Draws shape and colour with an `<svg class="icon"><use>`. */
export function drawIcon(icon, { shape, tone }) {
  if (icon.dataset.tone === tone && icon.firstElementChild.getAttribute("href") === shape) return;
  icon.dataset.tone = tone;
  icon.firstElementChild.setAttribute("href", shape);
}

/** Returns a new icon, hidden from screen readers because the word is next to it. */
export function makeIcon() {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  icon.setAttribute("focusable", "false");
  icon.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  return icon;
}
