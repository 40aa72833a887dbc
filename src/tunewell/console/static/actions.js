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
  const text = (errors ?? [{ detail, remedy, field }])
    .map((one) => [one.field && `${one.field}:`, one.detail, one.remedy].filter(Boolean).join(" "))
    .join("\n");
  const place = form?.querySelector("[data-wrong]");
  if (!place) return say(text, { wrong: true });
  place.textContent = text;
  const named = form.elements.namedItem(field ?? "") ?? form.elements.namedItem((field ?? "").split(".").pop());
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  named?.setAttribute?.("aria-invalid", "true");
  named?.focus?.();
}

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

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-act]")) return;
  event.preventDefault();
  if (form.dataset.ask && !(await confirmed(form.dataset.ask, event.submitter?.textContent))) return;
  const button = event.submitter, sent = new URLSearchParams(new FormData(form, button));
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

function confirmed(question, yes) {
  const dialog = document.createElement("dialog");
  const form = Object.assign(document.createElement("form"), { method: "dialog" });
  const text = Object.assign(document.createElement("p"), { textContent: question });
  const no = Object.assign(document.createElement("button"), { value: "", textContent: "Cancel" });
  const sure = Object.assign(document.createElement("button"), { value: "yes", textContent: yes, className: "primary" });
  const row = Object.assign(document.createElement("div"), { className: "actions" });
  row.append(no, sure);
  form.append(text, row);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => (dialog.remove(), resolve(dialog.returnValue === "yes")));
  });
}
