// Buttons that have something done: what came of it is said, and can be undone where there is an undo.
import { look } from "./live.js";

const place = document.getElementById("said");
let timer;

/** Say something at the foot of the page for a while, with a button that takes it back. */
export function say(text, { undo, wrong = false } = {}) {
  clearTimeout(timer);
  place.replaceChildren(text);
  place.classList.toggle("wrong", wrong);
  if (undo) {
    const button = Object.assign(document.createElement("button"), { textContent: undo.label });
    button.addEventListener("click", () => act(undo.address));
    place.append(button);
  }
  timer = setTimeout(() => place.replaceChildren(), wrong || undo ? 12_000 : 6000);
}

const KEPT = "tunewell-said";

/** Go to another page, which says something at its foot. */
export function leave(address, { text, ...how }) {
  sessionStorage.setItem(KEPT, JSON.stringify({ text, ...how }));
  location.assign(address);
}

const kept = sessionStorage.getItem(KEPT);
if (kept) {
  sessionStorage.removeItem(KEPT);
  const { text, ...how } = JSON.parse(kept);
  say(text, how);
}

/** Send what a form would send, and say what came of it, what is wrong in the form itself; return whether it is done. */
export async function act(address, body, form) {
  document.body.dataset.acting = "";
  try {
    const response = await fetch(address, { method: "POST", body, headers: { accept: "application/json" } });
    const { said, undo, then, ...problem } = await response.json();
    if (response.ok && then) {
      leave(then, { text: said, undo });
      return true;
    }
    if (response.ok) say(said, { undo });
    else refuse(problem, form);
    delete document.body.dataset.acting;
    look();
    return response.ok;
  } catch {
    delete document.body.dataset.acting;
    say("The service can't be reached just now. Nothing was changed, as far as this page knows.", { wrong: true });
    return false;
  }
}

function refuse({ detail, remedy, field, errors }, form) {
  const found = (errors ?? [{ detail, remedy, field }]).map((one) => ({ ...one, input: inputOf(form, one.field) }));
  const text = found
    .map((one) => [one.field && `${labelOf(one.input) ?? one.field}:`, one.detail, one.remedy].filter(Boolean).join(" "))
    .join("\n");
  const place = form?.querySelector("[data-wrong]");
  if (!place) return say(text, { wrong: true });
  allow(form);
  place.textContent = text;
  for (const { input } of found) input?.setAttribute("aria-invalid", "true");
  found.find(({ input }) => input)?.input.focus();
}

/** The field of a form that an error is about: by its name, or by the last part of that. */
function inputOf(form, field) {
  const found = field && (form?.elements.namedItem(field) ?? form?.elements.namedItem(field.split(".").pop()));
  return found instanceof HTMLElement ? found : null;
}

/** What people call a field. */
function labelOf(input) {
  return input?.labels?.[0]?.firstChild?.textContent.trim() || null;
}

/** Have a form say what is so now, and nothing of an earlier try. */
function begin(form) {
  form.reset();
  allow(form);
}

/** Send what somebody has changed, and nothing else: it may be others' change that the form does not know. */
function keepChanges(form, sent) {
  for (const input of form.elements) {
    const was = input.options ? [...input.options].find((one) => one.defaultSelected)?.value : input.defaultValue;
    if (input.name && input.value === was) sent.delete(input.name);
  }
}

/** Let a form look as if nothing in it was wrong. */
function allow(form) {
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  form.querySelector("[data-wrong]")?.replaceChildren();
}

document.addEventListener(
  "beforetoggle",
  ({ target, newState }) => newState === "open" && target.matches("form[data-act]") && begin(target),
  true,
);

/** How long a button only looks disabled before it says that it is at work, in milliseconds. */
const SOON = 500;

/** Disable a button, which says so if it takes a while; return what makes it as it was. */
export function working(button) {
  if (!button) return () => {};
  const own = [...button.childNodes];
  button.disabled = true;
  const timer = setTimeout(() => {
    button.replaceChildren("Working…");
    button.setAttribute("aria-busy", "true");
  }, SOON);
  return () => {
    clearTimeout(timer);
    if (button.hasAttribute("aria-busy")) button.replaceChildren(...own);
    button.removeAttribute("aria-busy");
    button.disabled = false;
  };
}

/** Do something when the page is left: whoever comes back by the browser's button finds it so. */
export const onceLeft = (then) => addEventListener("pagehide", then, { once: true });

/** How long a form that leads to another page may take to get there, in milliseconds; after that it was called off. */
const LEAVING = 60_000;

// On the window, which hears of it last: no script keeps this form from leading elsewhere, so nothing else may.
addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method === "dialog") return;
  document.body.dataset.acting = "";
  const stay = () => delete document.body.dataset.acting;
  setTimeout(stay, LEAVING);
  onceLeft(stay);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-act]")) return;
  event.preventDefault();
  if (form.dataset.ask && !(await confirmed(form, event.submitter?.textContent))) return;
  const button = event.submitter, sent = new URLSearchParams(new FormData(form, button));
  if ("changes" in form.dataset) keepChanges(form, sent);
  const restore = working(button);
  const done = await act(form.action, sent, form);
  if ("acting" in document.body.dataset) onceLeft(() => (delete document.body.dataset.acting, restore()));
  else restore();
  if (done && form.matches(":popover-open")) form.hidePopover();
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy.startsWith("/") ? new URL(button.dataset.copy, location).href : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say(text); // over plain HTTP there is no clipboard: it can be selected here
  }
});

/** Ask whether what a form does is meant; a form that has gone from the page meanwhile has nothing to do any more. */
function confirmed(asking, yes) {
  const dialog = document.createElement("dialog");
  const form = Object.assign(document.createElement("form"), { method: "dialog" });
  const text = Object.assign(document.createElement("p"), { textContent: asking.dataset.ask });
  const no = Object.assign(document.createElement("button"), { value: "", textContent: "Cancel" });
  const sure = Object.assign(document.createElement("button"), { value: "yes", textContent: yes, className: "primary" });
  const row = Object.assign(document.createElement("div"), { className: "actions" });
  row.append(no, sure);
  form.append(text, row);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  const overtaken = () => asking.isConnected || dialog.close("overtaken");
  addEventListener("shown", overtaken);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      removeEventListener("shown", overtaken);
      dialog.remove();
      if (dialog.returnValue === "overtaken") say("It has ended meanwhile.");
      resolve(dialog.returnValue === "yes");
    });
  });
}
