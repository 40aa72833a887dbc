// Links and forms that only choose what is shown (`?…`) change the parts that differ, and the address.
import { show, tell } from "./live.js";

/** Show another address of this page; `replace` its entry in the history instead of adding one. */
export async function go(address, { push = true, replace = false } = {}) {
  try {
    await show(address);
    if (replace) history.replaceState(null, "", address);
    else if (push) history.pushState(null, "", address);
    tell();
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='?']");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button) return;
  event.preventDefault();
  follow(link.href);
});

/** The page that is being shown instead of another, and what a person has typed or chosen since it was asked for. */
let going = Promise.resolve();
const typed = new Set();

/** Show another address; its forms say at once what it says, so that nothing that is typed meanwhile is lost. */
function follow(address, options) {
  clearTimeout(timer);
  typed.clear();
  fillForms(address);
  going = go(address, options).then(() => fillForms(location.href));
}

const CHOOSES = "form[method=get]:not([action])";

const allOf = (form, name) => [...form.querySelectorAll(`[name="${CSS.escape(name)}"]`)];

/** Have forms say what an address says; what it leaves out is empty, or the first choice. */
function fillForms(address) {
  const asked = new URL(address).searchParams;
  for (const form of document.querySelectorAll(CHOOSES)) {
    for (const field of form.elements) {
      if (allOf(form, field.name).some((one) => typed.has(one))) continue;
      const given = asked.getAll(field.name), place = field.type === "hidden" ? allOf(form, field.name).indexOf(field) : 0;
      if (field.type === "checkbox") field.checked = given.length ? given.includes(field.value) : field.defaultChecked;
      else if (field.type === "radio") field.checked = field.value === (given[0] ?? allOf(form, field.name)[0].value);
      else if (field.options && !given.length) field.selectedIndex = 0;
      else if (field.name && field.value !== (given[place] ?? "")) field.value = given[place] ?? "";
    }
  }
}

function addressOf(form) {
  const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
  return `${location.pathname}?${new URLSearchParams(chosen)}`;
}

/** Show what a form asks for, once the page that it belongs to is there. */
async function choose(form) {
  await going;
  go(addressOf(form));
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches(CHOOSES)) return;
  event.preventDefault();
  choose(event.target);
});

let timer;
document.addEventListener("input", ({ target }) => {
  const form = target.closest(CHOOSES);
  if (!form) return;
  typed.add(target);
  clearTimeout(timer);
  timer = setTimeout(() => choose(form), 200);
});

addEventListener("popstate", () => follow(location.href, { push: false }));
