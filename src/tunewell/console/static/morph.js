// Makes an element like new markup by changing only what differs: focus, selection, scroll and what is typed stay, and
// what scripts have added (`data-own`).
import { trusted } from "./trust.js";

/** Make the content of an element that of some markup. */
export function fill(element, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = trusted.createHTML(html);
  alikeInside(element, fresh.content);
}

function alikeInside(old, fresh) {
  const known = new Map();
  for (const child of old.children) if (child.id) known.set(child.id, child);
  let at = beyondOwn(old.firstChild);
  for (const wanted of [...fresh.childNodes]) {
    const same = wanted.id ? known.get(wanted.id) : at && isAlike(at, wanted) ? at : null;
    if (!same) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (same === at) at = beyondOwn(at.nextSibling);
    else old.insertBefore(same, at);
    known.delete(wanted.id);
    alike(same, wanted);
  }
  while (at) {
    const next = beyondOwn(at.nextSibling);
    at.remove();
    at = next;
  }
}

function beyondOwn(node) {
  while (node?.dataset && "own" in node.dataset) node = node.nextSibling;
  return node;
}

/** Whether an element comes up over the page when it is asked for, and is not there now. */
const isClosed = (element) => element.popover && !element.matches(":popover-open");

function isAlike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && !old.id && !fresh.id;
}

function alike(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.isEqualNode(fresh) || (old.hasAttribute("data-keep") && !isClosed(old))) return;
  for (const { name } of [...old.attributes]) {
    // What a person has opened stays open.
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  alikeInside(old, fresh);
}
