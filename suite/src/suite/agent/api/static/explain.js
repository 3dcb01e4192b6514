// The state of a colleague in words: the status, its source, the reason, and why it is uncertain.

import { clock, maybe, name, say } from "./words.js";

/** Returns the name of a source for users. */
export const sourceName = (source) => maybe(`source.${source}`) ?? source;

/** Returns the words for a rich state or a shown status. */
export const statusName = (state) => maybe(`rich.${state}`) ?? name("status", state);

/** Returns the name under which a colleague is shown. */
export const nameOf = (user) => user.login || user.upn || user.user;

/** Returns the other names of a colleague, on one line. */
export function otherNames(user) {
  const extension = user.extension && say("extension", { extension: user.extension });
  return [user.upn === nameOf(user) ? "" : user.upn, extension].filter(Boolean).join(" · ");
}

/** Returns whether the phone decided what is shown. */
const isOfThePhone = (user) => user.rule.startsWith("phone_");

/** Returns the name of the source of the shown status; empty when there is none. */
export function winner(user) {
  if (isOfThePhone(user)) return say("source.phone");
  return user.rich.source ? sourceName(user.rich.source) : "";
}

/** Returns the rule for which the state is shown, or why nothing is known. */
export function why(user) {
  return user.reason ? reason(user.reason, whoSaid(user)) : name("rule", user.rule);
}

/** Returns the words for a reason of a source. */
export const reason = (word, source) => maybe(`reason.${source}.${word}`) ?? name("reason", word);

/** Returns the source that gives the reason why nothing is known; undefined when none does. */
const whoSaid = (user) => Object.keys(user.sources).find((source) => user.sources[source].reason === user.reason);

/** Returns why the state is uncertain, from the connection of its source; empty when it is certain. */
export function doubt(user, sources) {
  if (!user.uncertain) return "";
  const connection = sources[isOfThePhone(user) ? "SipSimple" : user.rich.source]?.state;
  return say(connection && connection !== "up_and_running" ? "doubt.connection" : "doubt.old");
}

/** Returns the text below the status: why it is unknown or uncertain, otherwise its time. */
export function below(user, sources) {
  if (user.reason) return reason(user.reason, whoSaid(user));
  return doubt(user, sources) || since(user.since);
}

export const since = (iso) => (iso ? say("since", { time: clock(iso) }) : "");
