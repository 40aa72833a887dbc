// The form of a new search: checked by the planner while it is filled in, kept as a draft, sent with its program.
import { onceLeft, say, working } from "./actions.js";
import { chosen, filesIn, filesOf } from "./chosen.js";
import { fill } from "./morph.js";
import { ask, send, settle } from "./sending.js";

/** How long nothing is typed before the planner looks, in milliseconds. */
const PAUSE = 300;

const form = document.getElementById("new-search");
const { root } = document.body.dataset;
const draft = `tunewell new-search ${root} ${form.dataset.user}`;
const LOOK = `${root}/new/look`;
let timer, busy = false, wanted = false, turns = 0;

// Asking the planner ----------------------------------------------------------------------------------------

/**
 * Send fields, and show what the answer says; return whether the search has been started.
 * With `settle`, what the answer has in the fields counts more than what is typed.
 */
async function exchange(address, body, { settle = false } = {}) {
  const turn = ++turns;
  try {
    const response = await fetch(address, { method: "POST", body, headers: { accept: "application/json", "X-Have": "none" } });
    const { parts, then, detail, remedy } = await response.json();
    if (then) {
      localStorage.removeItem(draft);
      location.assign(then);
      return true;
    }
    if (!parts) throw new Error([detail, remedy].filter(Boolean).join(" "));
    if (turn === turns) {
      for (const part of document.querySelectorAll("[data-part]")) fill(part, parts[part.dataset.part]);
      if (settle) form.reset();
      enliven();
    }
  } catch (error) {
    const isLost = error instanceof TypeError;
    say(isLost ? "The service can't be reached just now. What you filled in is kept." : error.message, { wrong: true });
  }
  return false;
}

/** Have the planner look at what is filled in; one look at a time, the next one with the latest. */
async function look() {
  clearTimeout(timer);
  if (busy) {
    wanted = true;
    return;
  }
  busy = true;
  await exchange(LOOK, sent("live"));
  busy = false;
  if (wanted) {
    wanted = false;
    look();
  }
}

function sent(act) {
  const body = new FormData(form);
  body.set("act", act);
  body.delete("archive");
  return body;
}

form.addEventListener("input", ({ target }) => {
  if (target.type === "file") return;
  keep();
  clearTimeout(timer);
  timer = setTimeout(look, target.matches("select, [type=radio], [type=checkbox]") ? 0 : PAUSE);
});

document.addEventListener("submit", async (event) => {
  if (event.target !== form) return;
  event.preventDefault();
  clearTimeout(timer);
  const { submitter } = event;
  const act = submitter?.value ?? "check", isStart = act === "create", isEstimate = act === "estimate";
  const restore = working(isStart || isEstimate ? submitter : null);
  const turn = turns + 1;
  if (await exchange(isStart ? form.action : LOOK, sent(act), { settle: !isStart && !isEstimate && act !== "check" })) return onceLeft(restore);
  restore();
  if (isEstimate && turn !== turns) look(); // what was typed meanwhile counts, and has its estimate now
  keep();
  if (isStart || act === "check") firstWrong()?.focus();
  if (act === "add-row") [...form.querySelectorAll("#rows [name$='.name']")].at(-1)?.focus();
});

function firstWrong() {
  const first = form.querySelector("[aria-invalid=true]");
  for (let at = first?.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
  return first;
}

// The draft -------------------------------------------------------------------------------------------------

const PASSING = ["act", "key", "archive", "suggested"];

function keep() {
  const fields = [...new FormData(form)].filter(([name, value]) => !PASSING.includes(name) && value !== "");
  try {
    localStorage.setItem(draft, JSON.stringify(fields));
  } catch {
    return; // no room, or not allowed: then it is not kept
  }
  form.dataset.kept = "";
  tellKept();
}

function tellKept() {
  const place = document.querySelector("[data-saved]");
  if (place && "kept" in form.dataset) place.textContent = "Kept in this browser until it is started.";
}

/** Fill the form in as it was left; what the address says counts more. */
async function restore() {
  const known = localStorage.getItem(draft), asked = new URLSearchParams(location.search);
  if (!known || asked.has("copy")) return;
  const body = new FormData();
  for (const [name, value] of JSON.parse(known)) if (!asked.has(name)) body.append(name, value);
  for (const [name, value] of asked) body.append(name, value);
  form.dataset.kept = "";
  await exchange(LOOK, body, { settle: true });
}

document.querySelector("[data-afresh]").addEventListener("click", () => localStorage.removeItem(draft));

// The program -----------------------------------------------------------------------------------------------

/** What is left out of every program, beside what is left out of every folder. */
const LEFT_OUT = /(^|\/)(__pycache__|node_modules)\/|\.pyc$/;

/** Send a program, `[{ path, file }]`, and have the form be about it. */
async function take(files) {
  const place = document.querySelector("[data-sending]");
  const tell = (text) => Object.assign(place, { hidden: !text, textContent: text });
  try {
    const archive = chosen(files.filter(({ path }) => !LEFT_OUT.test(path)));
    if (!archive) throw new Error("There is no file in it that could be sent.");
    const told = ({ state, sent }) =>
      tell(state === "lost" ? "The service can't be reached; trying again." : `Sending: ${Math.floor((100 * sent) / archive.size)} %`);
    const upload = await send(archive, { purpose: "code", told });
    const code = await ask("POST", `${root}/api/v1/code`, { json: { upload } });
    settle(upload);
    form.elements.code.value = code.id;
    keep();
    await look();
  } catch (error) {
    say(error.message, { wrong: true });
  } finally {
    tell("");
  }
}

form.addEventListener("change", async ({ target }) => {
  if (target.type !== "file" || !target.files.length) return;
  await take(filesOf(target));
  target.value = "";
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, async (event) => {
    const place = event.target.closest("[data-drop]");
    if (!place) return;
    event.preventDefault();
    place.classList.toggle("over", kind === "dragover");
    if (kind === "drop") await take(await filesIn(event.dataTransfer));
  });
}

// Small things ----------------------------------------------------------------------------------------------

document.addEventListener("click", async ({ target }) => {
  if (target.dataset.insert) insert(target.dataset.insert);
  if (target.dataset.copies) await copy(document.getElementById(target.dataset.copies));
});

function insert(text) {
  const field = form.elements.command;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Copy a text; over plain HTTP there is no clipboard, and the text is selected instead. */
async function copy(place) {
  try {
    await navigator.clipboard.writeText(place.textContent);
    say("Copied.");
  } catch {
    getSelection().selectAllChildren(place);
    say("Selected: copy it with Ctrl+C or ⌘C.");
  }
}

/** Show what needs scripts, which pages without them do not offer. */
function enliven() {
  for (const one of document.querySelectorAll("[data-scripted]")) one.hidden = false;
  for (const one of document.querySelectorAll("[data-insert], [data-copies]")) one.disabled = false;
  tellKept();
}

enliven();
restore();
