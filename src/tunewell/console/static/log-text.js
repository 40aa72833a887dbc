// The text of a log in the page: text nodes, those with looks in a span, side by side in an element. Never markup.

/** What is marked in it, in all logs of the page; undefined where browsers can't mark without changing the page. */
export const marks = self.Highlight && { found: new Highlight(), current: new Highlight() };
if (marks) for (const [name, one] of Object.entries(marks)) CSS.highlights.set(`log-${name}`, one);

/** Have an element show runs of text; what it shows already stays, and so does what is selected in there. */
export function fill(element, runs) {
  let node = element.firstChild;
  for (const { text, look } of runs) {
    const next = node?.nextSibling ?? null;
    if (node && (node.className ?? "") === look) {
      const shown = node.firstChild ?? node;
      if (text.startsWith(shown.data)) shown.appendData(text.slice(shown.length));
      else shown.data = text;
    } else {
      const fresh = look ? document.createElement("span") : document.createTextNode(text);
      if (look) Object.assign(fresh, { className: look, textContent: text });
      if (node) node.replaceWith(fresh);
      else element.append(fresh);
    }
    node = next;
  }
  while (node) {
    const next = node.nextSibling;
    node.remove();
    node = next;
  }
}

/** A part of the text of an element. */
export function range(element, begin, end) {
  const found = document.createRange();
  let at = 0;
  for (const node of element.childNodes) {
    const text = node.firstChild ?? node, next = at + text.length;
    if (begin >= at && begin < next) found.setStart(text, begin - at);
    if (end > at && end <= next) {
      found.setEnd(text, end - at);
      break;
    }
    at = next;
  }
  return found;
}
