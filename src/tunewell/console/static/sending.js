// Sends one file by parts. What breaks off goes on by itself; what is chosen again after a reload goes on where it was.

/** Bytes of the first part and of the largest; parts grow while they take less than so many milliseconds. */
const FIRST = 256 << 10, MOST = 16 << 20, QUICK = 700;
/** Longest wait before another try, in milliseconds. */
const LONGEST_WAIT = 15_000;
const BASE = `${document.body.dataset.root}/api/v1`;
const KEPT = "tunewell-upload:";

/** What the service refuses, in words for people. */
export class Refused extends Error {
  constructor({ status, detail = "", remedy = "", kind = "", field = "", facts = {} }) {
    super([detail, remedy].filter(Boolean).join(" ") || `The service answered with ${status}.`);
    Object.assign(this, { status, kind, field, facts });
  }
}

/** Ask the service for something; waits and tries again for as long as it can't be reached. What is `uncut` is heard out. */
export async function ask(method, address, { body, json, form, signal, told, uncut } = {}) {
  const headers = { accept: "application/json" };
  if (json) headers["content-type"] = "application/json";
  if (body) headers["content-type"] = "application/octet-stream";
  for (let wait = 1000; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    let response;
    try {
      const sent = body ?? form ?? (json && JSON.stringify(json));
      response = await fetch(address, { method, body: sent, headers, signal: uncut ? undefined : signal });
    } catch {
      signal?.throwIfAborted();
    }
    if (response?.ok) return response.status === 204 ? null : response.json();
    if (response && ![429, 502, 503, 504].includes(response.status)) throw new Refused(await problemOf(response));
    told?.("lost");
    await pause(wait, signal);
  }
}

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) problem.remedy = "You are signed out. Sign in in another tab, and go on here.";
  return { status: response.status, ...problem };
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    addEventListener("online", resolve, { once: true });
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** The upload of this very file that was begun before, or a new one. */
async function begin({ name, size, mark }, purpose, signal, told) {
  const { items } = await ask("GET", `${BASE}/uploads`, { signal, told });
  const alike = (one) => one.purpose === purpose && one.name === name && one.size_bytes === size;
  const same = (one) => alike(one) && localStorage.getItem(KEPT + one.id) === mark;
  const known = items.find(same);
  if (known) return known;
  const begun = await ask("POST", `${BASE}/uploads`, { json: { name, size, purpose }, signal, told, uncut: true });
  localStorage.setItem(KEPT + begun.id, mark);
  return begun;
}

/**
 * Send a file, and return the id of the finished upload.
 *
 * `purpose` is what is to be made of it: `dataset`, `code` or `pictures`. `told({ state, id, sent, speed })` hears how far it is: `sending`, or `lost` while the service can't be reached; `speed`
 * in bytes a second. `signal` stops it; sent again, it goes on.
 */
export async function send(file, { purpose = null, signal, told }) {
  const lost = () => told({ state: "lost" });
  let { id, received_bytes: at, finished_at: whole } = await begin(file, purpose, signal, lost);
  let length = FIRST, speed = 0;
  told({ state: "sending", id, sent: at, speed });
  signal?.throwIfAborted();
  while (!whole && at < file.size) {
    const body = await read(file, at, Math.min(file.size, at + length));
    const began = performance.now();
    try {
      const { received_bytes: next } = await ask("PUT", `${BASE}/uploads/${id}/parts/${at}`, { body, signal, told: lost });
      const took = performance.now() - began;
      const now = (1000 * (next - at)) / took;
      speed = speed ? 0.7 * speed + 0.3 * now : now;
      if (took < QUICK) length = Math.min(2 * length, MOST);
      at = next;
    } catch (error) {
      // A part that broke off may still be on its way there; what has come of it is there to stay.
      if (!["wrong-offset", "upload-busy"].includes(error.kind)) throw error;
      if (error.kind === "upload-busy") await pause(500, signal);
      ({ received_bytes: at, finished_at: whole } = await ask("GET", `${BASE}/uploads/${id}`, { signal, told: lost }));
    }
    told({ state: "sending", id, sent: at, speed });
  }
  if (!whole) await ask("POST", `${BASE}/uploads/${id}/finish`, { signal, told: lost });
  return id;
}

/** Read a stretch of a file into memory, so that a file that is gone is told from a service that is. */
async function read(file, from, to) {
  try {
    return await file.slice(from, to).arrayBuffer();
  } catch {
    throw new Error("A file is gone, or was changed since it was chosen. Choose it again.");
  }
}

/** Forget an upload, and that it was begun. */
export async function forget(id) {
  localStorage.removeItem(KEPT + id);
  await fetch(`${BASE}/uploads/${id}`, { method: "DELETE" }).catch(() => {});
}

/** Take it that something was made of an upload. */
export const settle = (id) => localStorage.removeItem(KEPT + id);
