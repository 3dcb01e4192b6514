/** What a resume needs: the token, what each name stands for, and each user's answer. It prints what changes. */
export class Held {
  #users;
  #token = '';
  #names = new Map(); // name -> ResolvedName
  #answers = new Map(); // user id -> UserAnswer
  #shown = new Map(); // name -> the line that was printed last
  #unsure = new Set(); // names that are shown from before a reset, and not answered since
  #complete = false; // the snapshot of this stream
  #well = true; // the relay can read the organisation
  #certain = false;

  constructor(users) {
    this.#users = users;
  }

  /** Says what to watch, and what is held since the stream that gave the token. */
  start() {
    const heldUsers = [];
    const subscribeUsers = [];
    for (const user of this.#users) {
      const name = this.#names.get(user);
      const isHeld = name?.outcome === 'unknownReason' || (name?.outcome && this.#answers.has(name.userId));
      if (this.#token && isHeld) heldUsers.push(name);
      else subscribeUsers.push(user);
    }
    const client = { name: 'example-node', version: '1.0' };
    return { subscribeUsers, heldUsers, resumeToken: this.#token, client };
  }

  /** Takes one response. Events that are newer than this program change nothing. */
  apply(response) {
    switch (response.event) {
      case 'started':
        console.error(`connected: ${response.started.outcome}`);
        this.#complete = false;
        this.#well = true;
        if (response.started.outcome !== 'OUTCOME_RESUMED') this.#reset();
        break;
      case 'batch':
        this.#applyBatch(response.batch);
        break;
      case 'tenantStatus':
        this.#well = response.tenantStatus.unknownReason === 'UNKNOWN_REASON_UNSPECIFIED';
        break;
    }
    if (response.resumeToken) this.#token = response.resumeToken;
    this.#tell();
  }

  /** Notes that there is no stream. */
  lost() {
    this.#complete = false;
    this.#tell();
  }

  #applyBatch({ resolved, answers, snapshotComplete }) {
    for (const name of resolved) this.#names.set(name.user, name);
    for (const answer of answers) this.#answers.set(answer.userId, answer);
    const meant = new Set([...this.#names.values()].map((name) => name.userId));
    for (const id of this.#answers.keys()) {
      if (!meant.has(id)) this.#answers.delete(id); // no name stands for this user any more
    }
    for (const user of this.#users) {
      const name = this.#names.get(user);
      if (name) this.#show(user, name, this.#answers.get(name.userId));
    }
    this.#complete ||= snapshotComplete;
  }

  /** Prints a user's line when it differs from the last one. */
  #show(user, name, answer) {
    const line = { user, status: 'UNKNOWN', reason: '' };
    if (answer?.answer === 'presence') line.status = word(answer.presence.consoleStatus, 'CONSOLE_STATUS_');
    else if (answer) line.reason = word(answer.unknownReason, 'UNKNOWN_REASON_');
    else if (name.outcome === 'unknownReason') line.reason = word(name.unknownReason, 'UNKNOWN_REASON_');
    else line.reason = 'PENDING';
    if (line.reason === 'PENDING' && this.#unsure.has(user)) return; // go on showing what was shown before the reset
    this.#unsure.delete(user);
    const text = JSON.stringify(line);
    if (this.#shown.get(user) === text) return;
    this.#shown.set(user, text);
    console.log(text);
  }

  /** Forgets what is held, because everything is sent again. What is shown stays, and is uncertain. */
  #reset() {
    this.#token = '';
    this.#names.clear();
    this.#answers.clear();
    this.#unsure = new Set(this.#shown.keys());
  }

  /** Prints whether what is shown is certain, when that changes. Draw everything grey while it is not. */
  #tell() {
    const certain = this.#complete && this.#well;
    if (certain === this.#certain) return;
    this.#certain = certain;
    console.log(JSON.stringify({ certain }));
  }
}

/** Returns a value's name without its prefix. Values may be added: one that this program does not know comes as a number. */
function word(value, prefix) {
  const known = typeof value === 'string' && value.startsWith(prefix) && value !== `${prefix}UNSPECIFIED`;
  return known ? value.slice(prefix.length) : 'UNKNOWN';
}
