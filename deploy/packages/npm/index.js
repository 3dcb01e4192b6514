'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const FILES = ['relay/api/presence/v1/presence_service.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'];

/** Enum values are strings, and numbers when they are newer than these protos; the name of a oneof says which field is set. */
const OPTIONS = { includeDirs: [path.join(__dirname, 'protos')], enums: String, longs: String, defaults: true, oneofs: true };

const definition = protoLoader.loadSync(FILES, OPTIONS);
const api = grpc.loadPackageDefinition(definition).relay.api.presence.v1;

/**
 * Reads what the relay says about the end of a stream.
 *
 * @param {Error & {metadata?: grpc.Metadata}} error the error of a call.
 * @returns {{reason: string, metadata: Record<string, string>, retryMs: number}} the name of an ErrorReason (empty when the
 *   transport failed, and not the relay), its metadata, and the wait that the relay asks for, in milliseconds.
 */
function errorDetails(error) {
  const found = { reason: '', metadata: {}, retryMs: 0 };
  const [encoded] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!encoded) return found;
  for (const detail of definition['google.rpc.Status'].deserialize(encoded).details) {
    const name = detail.type_url.split('/').pop();
    const message = definition[name]?.deserialize(detail.value);
    if (name === 'google.rpc.ErrorInfo' && message.domain === 'presence.relay') {
      found.reason = message.reason;
      found.metadata = message.metadata;
    } else if (name === 'google.rpc.RetryInfo' && message.retryDelay) {
      found.retryMs = Number(message.retryDelay.seconds) * 1000 + message.retryDelay.nanos / 1e6;
    }
  }
  return found;
}

// One by one, so that `import { PresenceService } from 'presence-api'` finds them too.
exports.PresenceService = api.PresenceService;
exports.errorDetails = errorDetails;
