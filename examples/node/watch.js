// Shows the Microsoft Teams presence of colleagues: one line of JSON for each answer.
//
//     node watch.js ADDRESS CA_FILE KEY_FILE USER...

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { credentials, Metadata, status } from '@grpc/grpc-js';
import { errorDetails, PresenceService } from 'presence-api';

import { Held } from './held.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const GOOD_AFTER_MS = 10_000; // after a stream that lasted this long, waits begin short again

const OTHER_TENANT = 'ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT';
const TOO_MUCH = ['ERROR_REASON_TOO_MANY_USERS', 'ERROR_REASON_METADATA_TOO_LARGE'];
const FINAL_CODES = [status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.INVALID_ARGUMENT];

const OPTIONS = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.use_local_subchannel_pool': 1, // a connection for each stream: it may lead to another relay process
};

/** Opens one stream and applies its responses until it ends. Returns when the relay asks for another stream. */
async function watch(address, trust, key, held) {
  const client = new PresenceService(address, trust, OPTIONS); // https_proxy is obeyed
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const call = client.streamPresence({ start: held.start() }, metadata);
  call.on('error', () => {}); // the loop throws it; this is for the one that cancel() causes
  try {
    for await (const response of call) {
      if (response.event === 'drain') return;
      held.apply(response);
    }
  } finally {
    call.cancel();
    client.close();
  }
}

/** Says whether a person must act. A reason that is newer than this program counts by its code. */
function isFinal(code, reason) {
  if (reason === '' || reason === OTHER_TENANT) return false;
  return TOO_MUCH.includes(reason) || FINAL_CODES.includes(code);
}

function giveUp(exitCode, text) {
  console.error(text);
  process.exit(exitCode);
}

const [address, caFile, keyFile, ...users] = process.argv.slice(2);
if (users.length === 0) giveUp(2, 'usage: node watch.js ADDRESS CA_FILE KEY_FILE USER...');
let trust, key;
try {
  trust = credentials.createSsl(readFileSync(caFile));
  key = readFileSync(keyFile, 'utf8').trim();
} catch (error) {
  giveUp(2, error.message);
}

let held = new Held(users);
for (let ceiling = FIRST_WAIT_MS; ; ceiling = Math.min(2 * ceiling, LONGEST_WAIT_MS)) {
  const began = performance.now();
  let why = 'the relay asked for another stream';
  let atLeast = 0;
  try {
    await watch(address, trust, key, held);
    held.lost();
  } catch (error) {
    held.lost();
    const { reason, retryMs } = errorDetails(error);
    if (isFinal(error.code, reason)) giveUp(3, `refused: ${reason}: ${error.details}`);
    if (reason === OTHER_TENANT) held = new Held(users);
    why = error.message;
    atLeast = retryMs;
  }
  if (performance.now() - began > GOOD_AFTER_MS) ceiling = FIRST_WAIT_MS;
  const wait = atLeast + Math.random() * ceiling; // full jitter: suites do not come back all at once
  console.error(`disconnected: ${why}; again in ${Math.round(wait)} ms`);
  await sleep(wait);
}
