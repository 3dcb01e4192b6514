// What is shown of a colleague, in words: the status, who said it, why it counts, and what is uncertain about it.

import { clock, maybe, name, say } from "./words.js";

/** Returns the name of a source as people know it. */
export const sourceName = (source) => maybe(`source.${source}`) ?? source;

/** Returns the words of a rich state, or of the status that is shown. */
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

/** Returns the name of whoever said what is shown; empty when nobody did. */
export function winner(user) {
  if (isOfThePhone(user)) return say("source.phone");
  return user.rich.source ? sourceName(user.rich.source) : "";
}

/** Returns why the state is shown: the rule; or why nothing is known. */
export function why(user) {
  return user.reason ? reason(user.reason, whoSaid(user)) : name("rule", user.rule);
}

/** Returns a reason in the words of the source that said it. */
export const reason = (word, source) => maybe(`reason.${source}.${word}`) ?? name("reason", word);

/** Returns the source that said why nothing is known; undefined when none did. */
const whoSaid = (user) => Object.keys(user.sources).find((source) => user.sources[source].reason === user.reason);

/** Returns why the state is uncertain; empty when it is not. The connection of the source that said it tells. */
export function doubt(user, sources) {
  if (!user.uncertain) return "";
  const connection = sources[isOfThePhone(user) ? "SipSimple" : user.rich.source]?.state;
  return say(connection && connection !== "up_and_running" ? "doubt.connection" : "doubt.old");
}

/** Returns what stands below the status: why it is unknown or uncertain, else since when it holds. */
export function below(user, sources) {
  if (user.reason) return reason(user.reason, whoSaid(user));
  return doubt(user, sources) || since(user.since);
}

export const since = (iso) => (iso ? say("since", { time: clock(iso) }) : "");
