// The proof on a listing's page: fetches what the API publishes, verifies it here, and says what came of it.

import { VerificationFailed, fileDigest, verify } from "./proof.js";

const section = document.getElementById("proof");
const button = section.querySelector("button");
const chosen = section.querySelector("input[type=file]");
const outcome = section.querySelector("output");

async function answerOf(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new VerificationFailed(answer.code, answer.detail);
  return answer;
}

async function run() {
  if (globalThis.crypto?.subtle === undefined) {
    throw new VerificationFailed("no_webcrypto", "This browser verifies only on pages that come over HTTPS.");
  }
  const { certificate: address, keys: keysAddress, proof: proofAddress, sha256 } = section.dataset;
  const [certificate, keys] = await Promise.all([answerOf(address), answerOf(keysAddress)]);
  if (!certificate.signature) throw new VerificationFailed("not_signed", "The certificate waits for its signature.");
  const proof = await answerOf(`${proofAddress}?position=${certificate.signature.position}`);
  const [file] = chosen.files;
  const said = await verify({ sha256: file ? await fileDigest(file) : sha256, certificate, proof, keys });
  const about = file ? "Your file is the one that is certified" : "The file of this version is certified";
  return `Yes. ${about} ${said.tier}; the certificate is event ${proof.position} of a log of ${proof.tree_size}.`;
}

async function show() {
  button.disabled = true;
  section.removeAttribute("data-outcome");
  outcome.textContent = "Verifying …";
  try {
    outcome.textContent = await run();
    section.dataset.outcome = "yes";
  } catch (error) {
    const refused = error instanceof VerificationFailed;
    outcome.textContent = refused ? `No. ${error.message} (${error.reason})` : `Not verified: ${error.message}`;
    section.dataset.outcome = "no";
  } finally {
    button.disabled = false;
  }
}

button.addEventListener("click", show);
section.hidden = false;
