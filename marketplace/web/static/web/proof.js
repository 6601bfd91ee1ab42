// Verifies, by WebCrypto, that a certificate is signed, is about one file, and stands in the log.
//
// Checks what awareness_sdk/verify.py checks, of the answers of .../certificate, /api/log/proof and /api/log/keys.

const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE = "https://latentmas.org/w-matrix-certificate/v1";
const EVENT_TYPE = "certificate.signed";
const NOTE_ED25519 = 1; // the kind of a log's key in signed notes
const HASH_BYTES = 32;
const LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;

/** Why something was not verified. `reason` is one of those in docs/transparency.md. */
export class VerificationFailed extends Error {
  constructor(reason, message, options) {
    super(message, options);
    this.reason = reason;
  }
}

/**
 * Return what the certificate says, where everything holds together. Throws VerificationFailed.
 *
 * `sha256` is the digest of the file as bare hex, `at` a Date; the others are decoded JSON answers.
 */
export async function verify({ sha256, certificate, proof, keys, at = new Date() }) {
  const envelope = certificate?.signature?.envelope;
  const statement = await openEnvelope(envelope, keys);
  if (statement.subject[0].digest.sha256 !== sha256) {
    throw new VerificationFailed("file_differs", `The file's SHA-256 is ${sha256}; another one is certified.`);
  }
  requireValid(statement.predicate, at);
  await requireInLog(envelope, proof, keys);
  return statement.predicate;
}

/** Return the lower-case hex of a file's SHA-256. */
export async function fileDigest(file) {
  return hex(await sha256Of(new Uint8Array(await file.arrayBuffer())));
}

async function openEnvelope(envelope, keys) {
  const { kind, payload, signatures } = reading("envelope_malformed", "There is no signed envelope.", () => ({
    kind: String(envelope.payloadType),
    payload: bytesOf(envelope.payload),
    signatures: envelope.signatures.map(({ keyid, sig }) => ({ keyid, sig: bytesOf(sig) })),
  }));
  if (kind !== PAYLOAD_TYPE) {
    throw new VerificationFailed("payload_type_unknown", `The payload is ${kind}, not ${PAYLOAD_TYPE}.`);
  }
  const named = keysOf(keys, "certificate").filter((key) => signatures.some(({ keyid }) => keyid === key.key_id));
  if (named.some((key) => key.state === "revoked")) {
    throw new VerificationFailed("key_revoked", "The certificate is signed by a key that was revoked.");
  }
  if (named.length === 0) throw new VerificationFailed("key_unknown", "No known key signed the certificate.");
  const message = joined(utf8(`DSSEv1 ${utf8(kind).length} ${kind} ${payload.length} `), payload);
  const attempts = named.flatMap((key) =>
    signatures.filter(({ keyid }) => keyid === key.key_id).map(({ sig }) => isSigned(message, sig, key)),
  );
  if (!(await Promise.all(attempts)).some(Boolean)) {
    throw new VerificationFailed("signature_invalid", "The signature does not fit the certificate.");
  }
  return reading("statement_malformed", "The payload is no statement about one W-Matrix file.", () => {
    const statement = JSON.parse(text(payload));
    const right = [
      statement._type === STATEMENT_TYPE,
      statement.predicateType === PREDICATE_TYPE,
      statement.subject.length === 1,
      typeof statement.predicate === "object",
    ];
    if (!right.every(Boolean)) throw new TypeError("another statement");
    return statement;
  });
}

function requireValid(predicate, at) {
  const [begins, ends] = [predicate?.issued_at, predicate?.expires_at].map((each) => Date.parse(each));
  if (Number.isNaN(begins) || Number.isNaN(ends)) {
    throw new VerificationFailed("statement_malformed", "The statement says not when it is valid.");
  }
  if (!(begins <= at && at < ends)) {
    throw new VerificationFailed("not_valid_now", `The certificate is valid until ${new Date(ends).toISOString()}.`);
  }
}

async function requireInLog(envelope, proof, keys) {
  const read = reading("proof_malformed", "The proof is none about a signed certificate.", () => {
    const [salt, body, entry] = [proof.event.salt, proof.event.body, proof.entry].map(bytesOf);
    const [index, size] = [proof.index, proof.tree_size];
    if (![index, size].every(Number.isSafeInteger)) throw new TypeError("no index");
    const [leaf, event] = [JSON.parse(text(entry)), JSON.parse(text(body))];
    const [recorded, hashes] = [event.payload.envelope, proof.proof.map(bytesOf)];
    return { salt, body, entry, index, size, leaf, event, recorded, hashes };
  });
  if (read.event.type !== EVENT_TYPE || canonical(read.recorded) !== canonical(envelope)) {
    throw new VerificationFailed("not_in_log", "The proof is about an event that records another envelope.");
  }
  const digests = {
    body: hex(await sha256Of(joined(read.salt, read.body))),
    position: read.index + 1,
    stream: hex(await sha256Of(utf8(read.event.stream))),
    type: read.event.type,
  };
  if (canonical(read.leaf) !== canonical(digests)) {
    throw new VerificationFailed("not_in_log", "The entry in the log is not that of the event beside it.");
  }
  const root = await rootOf(String(proof.checkpoint ?? ""), read.size, keys);
  const leafHash = await sha256Of(joined(Uint8Array.of(0), read.entry));
  const computed = await rootAbove(leafHash, read);
  if (hex(computed) !== hex(root)) {
    throw new VerificationFailed("proof_invalid", "The proof does not lead to the root of the checkpoint.");
  }
}

/** Return the root that an audit path leads to (RFC 9162, section 2.1.3.2). */
async function rootAbove(leaf, { index, size, hashes }) {
  const wrong = () => new VerificationFailed("proof_invalid", "The proof does not have as many hashes as it must.");
  if (!(0 <= index && index < size)) throw wrong();
  // Divided, not shifted: bit operations of JavaScript have but 32 bits.
  const half = (number) => Math.floor(number / 2);
  let [at, last, computed] = [index, size - 1, leaf];
  for (const each of hashes) {
    if (last === 0 || each.length !== HASH_BYTES) throw wrong();
    if (at % 2 === 1 || at === last) {
      computed = await sha256Of(joined(Uint8Array.of(1), each, computed));
      while (at % 2 === 0 && at > 0) [at, last] = [half(at), half(last)];
    } else {
      computed = await sha256Of(joined(Uint8Array.of(1), computed, each));
    }
    [at, last] = [half(at), half(last)];
  }
  if (last !== 0) throw wrong();
  return computed;
}

/** Return the root in a checkpoint of this size, once the log's signature is verified. */
async function rootOf(note, size, keys) {
  const { signed, lines } = reading("note_malformed", "The proof has no checkpoint.", () => {
    const end = note.lastIndexOf("\n\n");
    if (end < 0 || !note.endsWith("\n")) throw new TypeError("no note");
    const rows = note.slice(end + 2, -1).split("\n").map((row) => LINE.exec(row));
    return { signed: note.slice(0, end + 1), lines: rows.map(([, name, data]) => ({ name, data: bytesOf(data) })) };
  });
  const [origin, count, root] = signed.split("\n");
  for (const key of keysOf(keys, "log")) {
    const id = await noteKeyId(origin, bytesOf(key.public_key));
    const line = lines.find((each) => each.name === origin && hex(each.data.slice(0, 4)) === id);
    if (line === undefined) continue;
    if (key.state === "revoked") {
      throw new VerificationFailed("key_revoked", "The checkpoint is signed by a key that was revoked.");
    }
    if (!(await isSigned(utf8(signed), line.data.slice(4), key))) {
      throw new VerificationFailed("signature_invalid", "The log's signature does not fit the checkpoint.");
    }
    if (count !== String(size)) {
      throw new VerificationFailed("checkpoint_differs", `The proof is for ${size} events, not for ${count}.`);
    }
    return bytesOf(root);
  }
  throw new VerificationFailed("key_unknown", "No known key signed the checkpoint.");
}

async function noteKeyId(name, publicKey) {
  return hex((await sha256Of(joined(utf8(`${name}\n`), Uint8Array.of(NOTE_ED25519), publicKey))).slice(0, 4));
}

function keysOf(keys, purpose) {
  return reading("key_unknown", "There are no keys to verify with.", () =>
    keys.keys.filter((key) => key.purpose === purpose),
  );
}

async function isSigned(message, signature, { public_key: publicKey }) {
  const key = await crypto.subtle.importKey("raw", bytesOf(publicKey), { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, signature, message);
}

function reading(reason, message, read) {
  try {
    return read();
  } catch (error) {
    throw new VerificationFailed(reason, message, { cause: error });
  }
}

/** Return JSON whose keys are in order, to compare by. */
function canonical(value) {
  return JSON.stringify(value, (_, each) =>
    each !== null && typeof each === "object" && !Array.isArray(each)
      ? Object.fromEntries(Object.keys(each).sort().map((name) => [name, each[name]]))
      : each,
  );
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const utf8 = (value) => new TextEncoder().encode(value);
const text = (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const hex = (bytes) => Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
const sha256Of = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
