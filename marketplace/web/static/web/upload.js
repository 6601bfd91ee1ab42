// The form with a file: sends the file in pieces before the form, and shows how far it is.
//
// What has arrived stays when the connection breaks or the page is left: the same file goes on where it stopped. Where
// the browser has no WebCrypto for the digest (pages over plain HTTP), the form sends the file itself, as without
// JavaScript.

import { fileDigest } from "./proof.js";

const PIECE_BYTES = 8 * 2 ** 20;
const ATTEMPTS = 4; // of one piece, the pauses between them growing
const PAUSE_MS = 500;

const form = document.querySelector("form[data-uploads]");
const chosen = form.elements.file;
const panel = document.getElementById("upload");
const stage = document.getElementById("upload-stage");
const bar = panel.querySelector("progress");
const figures = panel.querySelector(".unit");
const stop = panel.querySelector("button");
let stopping = null; // an AbortController while a file is under way

/** The server's refusal; its sentence is for people. */
class Refused extends Error {}

function headers(more = {}) {
  return {
    Accept: "application/json",
    "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
    "LatentMAS-Agent": form.elements.agent.value,
    ...more,
  };
}

async function ask(address, options = {}) {
  const response = await fetch(address, { ...options, signal: stopping.signal });
  const answer = await response.json();
  if (!response.ok) throw new Refused(answer.detail);
  return answer;
}

/** Return the upload of this file that stopped before, or a new one. */
async function begun(file, digest) {
  const { results } = await ask(form.dataset.uploads, { headers: headers() });
  const before = results.find((each) => each.digest === digest && each.size === file.size);
  if (before) return before;
  const body = JSON.stringify({ size: file.size, digest });
  return ask(form.dataset.uploads, { method: "POST", headers: headers({ "Content-Type": "application/json" }), body });
}

/** Send one piece, and return the upload as it is then; `fetch` does not tell how much of a body has left. */
function sendPiece(upload, piece) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", upload.url);
    const type = { "Content-Type": "application/octet-stream", "Upload-Offset": String(upload.offset) };
    for (const [name, value] of Object.entries(headers(type))) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded }) => show(upload.offset + loaded, upload.size));
    request.addEventListener("load", () => {
      if (request.status === 200) resolve(request.response);
      else reject(new Refused(request.response?.detail ?? `The server answers ${request.status}.`));
    });
    request.addEventListener("error", () => reject(new Error("The connection broke.")));
    request.addEventListener("abort", () => reject(stopping.signal.reason));
    stopping.signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(piece);
  });
}

async function sendFrom(upload, file) {
  let failures = 0;
  while (!upload.stored) {
    try {
      upload = await sendPiece(upload, file.slice(upload.offset, upload.offset + PIECE_BYTES));
      failures = 0;
      show(upload.offset, upload.size);
    } catch (error) {
      failures += 1;
      if (stopping.signal.aborted || error instanceof Refused || failures === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** failures));
      upload = await ask(upload.url, { headers: headers() });
    }
  }
  return upload;
}

function show(came, size) {
  bar.value = came / size;
  figures.textContent = `${Math.floor((100 * came) / size)} % of ${(size / 1e6).toFixed(1)} MB`;
}

async function send(file) {
  stopping = new AbortController();
  panel.hidden = stop.hidden = false;
  delete panel.dataset.outcome;
  try {
    stage.textContent = "Reading the file …";
    const digest = `sha256:${await fileDigest(file)}`;
    const upload = await begun(file, digest);
    stage.textContent = upload.offset ? "Going on where it stopped …" : "Sending the file …";
    show(upload.offset, upload.size);
    const { id } = await sendFrom(upload, file);
    stage.textContent = "The file has arrived. Publishing …";
    form.elements.upload.value = id;
    chosen.disabled = true; // the form goes without it
    form.submit();
  } catch (error) {
    const stopped = stopping.signal.aborted;
    stage.textContent = stopped ? "Stopped. Publish goes on from here." : `${error.message} Publish tries again.`;
    panel.dataset.outcome = "no";
  } finally {
    stop.hidden = true;
    stopping = null;
  }
}

form.addEventListener("submit", (event) => {
  const [file] = chosen.files;
  if (!file || globalThis.crypto?.subtle === undefined) return;
  event.preventDefault();
  if (stopping === null) send(file);
});
stop.addEventListener("click", () => stopping?.abort());
globalThis.addEventListener("pageshow", () => {
  chosen.disabled = false; // when the browser goes back to the form
});
