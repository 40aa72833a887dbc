// The stream says that something has changed; a GET of the same address says what: only parts that are new are sent.
import { fill } from "./morph.js";
import { trusted } from "./trust.js";

/** Least time between two looks, in milliseconds. */
const GAP = 500;
/** How often a tab that nobody sees looks, for the sake of its title. */
const HIDDEN_GAP = 10_000;

const { root, build } = document.body.dataset;
const status = document.getElementById("connection");
let follows = JSON.parse(document.body.dataset.follows);
let looked = 0, busy = null, wanted = false, timer;

const parts = () => [...document.querySelectorAll("[data-part]")];

/** What is asked for at the moment: an address that was chosen, or what is new at this one. */
let question = null;

/** Show a page of this kind at an address: the parts that differ from those that are shown. The latest one counts. */
export async function show(address) {
  question?.over.abort();
  const mine = (question = { over: new AbortController() });
  try {
    await ask(address, mine.over.signal);
  } finally {
    if (question === mine) question = null;
  }
}

async function ask(address, signal) {
  const have = parts().map((part) => part.dataset.stamp).join(",");
  const response = await fetch(address, { headers: { "X-Have": have || "none", accept: "application/json, text/html" }, signal });
  if (response.redirected || !response.headers.get("content-type")?.startsWith("application/json")) {
    const elsewhere = response.ok || response.status === 401;
    if (elsewhere && !("acting" in document.body.dataset)) location.assign(address);
    throw new Error(`${response.status}`);
  }
  const news = await response.json();
  if (!news.parts) throw new Error(news.detail ?? `${response.status}`);
  signal.throwIfAborted();
  for (const part of parts()) {
    const name = part.dataset.part;
    if (name in news.parts) fill(part, news.parts[name]);
    part.dataset.stamp = news.stamps[name] ?? "";
  }
  document.title = `${news.title} – Tunewell`;
  follows = news.follows;
}

/** Tell scripts of a page that another address, or something new, is shown. */
export function tell() {
  dispatchEvent(new CustomEvent("shown"));
}

/** Look for what is new, now or as soon as the last look is long enough ago; quick changes are seen together. */
export function look() {
  wanted = true;
  if (timer || busy) return;
  const gap = document.hidden ? HIDDEN_GAP : GAP;
  timer = setTimeout(update, Math.max(0, looked + gap - performance.now()));
}

async function update() {
  timer = undefined;
  if (document.hidden && performance.now() - looked < HIDDEN_GAP) return;
  // Nothing moves below a pointer, what was chosen comes first, and what is being done may lead elsewhere.
  if ("dragging" in document.body.dataset || "acting" in document.body.dataset || question) return look();
  wanted = false;
  looked = performance.now();
  busy = show(location.href).then(tell, () => setTimeout(look, 2000));
  await busy;
  busy = null;
  if (wanted) look();
}

function hear({ state, changed, all }) {
  if (state) {
    // What has changed while nobody listened, which includes the time since this page was made.
    if (state === "open" && status.dataset.state !== "open") look();
    status.dataset.state = state;
    status.textContent = state === "open" ? "live" : "connecting…";
  }
  if (all || (changed && concerns(changed))) look();
  if (changed) dispatchEvent(new CustomEvent("changed", { detail: changed }));
}

function concerns({ kind, name, id }) {
  if (kind === "model") return follows.includes("models") || follows.includes(`model:${name}`);
  return follows.includes("*") || follows.includes(name) || (id && (follows.includes("jobs") || follows.includes(`job:${id}`)));
}

/** Follow changes for as long as the page is open. */
export function follow() {
  if (!status) return;
  document.addEventListener("visibilitychange", () => !document.hidden && wanted && look());
  const stream = `${root}/api/v1/events`;
  const worker = new SharedWorker(
    trusted.createScriptURL(`${build}stream.js?stream=${encodeURIComponent(stream)}`),
    { name: `tunewell ${root}`, type: "module" },
  );
  worker.port.onmessage = ({ data }) => hear(data);
  addEventListener("pagehide", () => worker.port.postMessage("bye"));
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}
