// Charts of an experiment: what a mark is, where it leads, and ranges that are dragged along axes.
import { go } from "./navigate.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const here = location.pathname.replace(/\/$/, "");
const card = Object.assign(document.createElement("div"), { className: "hover" });
document.body.append(card);

// A mark of a trial ------------------------------------------------------------------------------------------

document.addEventListener("click", ({ target }) => {
  const mark = target.closest?.("svg [data-trial]");
  if (mark) location.assign(`${here}/trials/${mark.dataset.trial}`);
});

document.addEventListener("pointermove", ({ target, clientX, clientY }) => {
  const mark = target.closest?.("svg [data-trial]");
  card.textContent = mark ? mark.dataset.said ?? `trial ${mark.dataset.trials?.replace("-", " to ") ?? mark.dataset.trial}` : "";
  if (!mark) return;
  const { width, height } = card.getBoundingClientRect();
  card.style.setProperty("left", `${Math.min(clientX + 14, innerWidth - width - 8)}px`);
  card.style.setProperty("top", `${clientY - height - 10 < 0 ? clientY + 18 : clientY - height - 10}px`);
});

// Brushes ----------------------------------------------------------------------------------------------------

let drag;

const keyOf = (axis) => (axis.dataset.kind === "value" ? "in.value" : `in.${axis.dataset.key ?? axis.dataset.parameter}`);

function prepare() {
  for (const axis of document.querySelectorAll(".chart.parallel .axis[data-parameter]")) {
    const base = axis.querySelector("line.base");
    const reach = axis.querySelector(".reach") ?? axis.appendChild(document.createElementNS(NAMESPACE, "rect"));
    const depth = Number(base.getAttribute("y2"));
    const facts = { class: "reach", "data-own": "", x: base.getAttribute("x1"), y: -8, width: 28, height: depth + 16, transform: "translate(-14 0)", tabindex: 0, role: "slider", "aria-label": `Range of ${axis.dataset.parameter}: drag, or arrow keys`, "aria-orientation": "vertical", "aria-valuenow": 0 };
    for (const [name, value] of Object.entries(facts)) reach.setAttribute(name, value);
    mark(axis, rangeOf(axis));
    axis.closest(".chart").setAttribute("role", "group"); // it holds what can be moved, so it is no picture any more
  }
}

/** What is to be chosen, while that is on its way: keys are pressed faster than the service answers. */
let wanted = null;
const chosen = () => new URLSearchParams(wanted ?? location.search);

/** The range of an axis that the address says, as shares of its length from its lower end; null: all of it. */
function rangeOf(axis) {
  const text = chosen().get(keyOf(axis));
  if (!text) return null;
  if (axis.dataset.kind === "choice") {
    const values = JSON.parse(axis.dataset.values ?? "[]").map(String);
    const places = text.split(",").map((value) => values.indexOf(value.replace(/^"|"$/g, ""))).filter((place) => place >= 0);
    if (!places.length) return null;
    return [Math.min(...places) / values.length, (Math.max(...places) + 1) / values.length];
  }
  const [low, high] = text.split("..");
  return [low ? shareOf(axis, Number(low)) : 0, high ? shareOf(axis, Number(high)) : 1];
}

function shareOf(axis, value) {
  const scale = axis.dataset.log ? Math.log : (x) => x;
  const [low, high] = [Number(axis.dataset.low), Number(axis.dataset.high)].map(scale);
  return Math.min(1, Math.max(0, (scale(value) / 2 - low / 2) / (high / 2 - low / 2)));
}

function valueOf(axis, share) {
  const scale = axis.dataset.log ? Math.log : (x) => x;
  const [low, high] = [Number(axis.dataset.low), Number(axis.dataset.high)].map(scale);
  const value = low * (1 - share) + high * share; // the difference of two large numbers may be too large
  return Number((axis.dataset.log ? Math.exp(value) : value).toPrecision(4));
}

/** What an address says of a range, as shares; null: nothing. */
function textOf(axis, [from, to]) {
  if (axis.dataset.kind !== "choice") {
    if (from <= 0 && to >= 1) return null;
    return `${from <= 0 ? "" : valueOf(axis, from)}..${to >= 1 ? "" : valueOf(axis, to)}`;
  }
  const values = JSON.parse(axis.dataset.values ?? "[]");
  const chosen = values.filter((_, place) => (place + 0.5) / values.length >= from && (place + 0.5) / values.length <= to);
  return chosen.length && chosen.length < values.length ? chosen.map(written).join(",") : null;
}

function written(value) {
  if (typeof value !== "string") return String(value);
  return /^[A-Za-z_][\w-]*$/.test(value) && !["true", "false", "null"].includes(value) ? value : `"${value.replaceAll('"', '""')}"`;
}

function mark(axis, range) {
  axis.querySelector(".brush")?.remove();
  if (!range) return;
  const base = axis.querySelector("line.base");
  const depth = Number(base.getAttribute("y2"));
  const brush = document.createElementNS(NAMESPACE, "rect");
  const facts = { class: "brush", "data-own": "", x: base.getAttribute("x1"), y: depth * (1 - range[1]), width: 18, height: Math.max(2, depth * (range[1] - range[0])), transform: "translate(-9 0)", rx: 3 };
  for (const [name, value] of Object.entries(facts)) brush.setAttribute(name, value);
  axis.insertBefore(brush, axis.querySelector(".reach"));
}

function dim(chart) {
  const axes = [...chart.querySelectorAll(".axis[data-parameter]")];
  const ranges = axes.map((axis) => (drag?.axis === axis ? drag.range : rangeOf(axis)));
  const lines = chart.querySelector(".lines");
  const depth = Number(axes[0].querySelector("line.base").getAttribute("y2"));
  lines.classList.toggle("brushing", ranges.some(Boolean));
  for (const path of lines.querySelectorAll("path")) {
    const downs = path.getAttribute("d").slice(1).split(" ").filter((_, i) => i % 2).map(Number);
    const out = ranges.some((range, i) => range && (1 - downs[i] / depth < range[0] - 1e-3 || 1 - downs[i] / depth > range[1] + 1e-3));
    path.classList.toggle("out", out);
  }
}

function choose(axis, range) {
  const query = chosen();
  const text = range && textOf(axis, range);
  if (text) query.set(keyOf(axis), text);
  else query.delete(keyOf(axis));
  query.delete("cursor");
  const mine = (wanted = String(query));
  mark(axis, rangeOf(axis));
  go(query.size ? `${location.pathname}?${query}` : location.pathname).finally(() => {
    if (wanted === mine) wanted = null;
  });
}

document.addEventListener("pointerdown", (event) => {
  const reach = event.target.closest?.(".axis .reach");
  if (!reach || event.button) return;
  event.preventDefault();
  reach.focus();
  reach.setPointerCapture(event.pointerId);
  const axis = reach.closest(".axis");
  const share = ({ clientY }) => {
    const box = axis.querySelector("line.base").getBoundingClientRect();
    return Math.min(1, Math.max(0, 1 - (clientY - box.top) / box.height));
  };
  const from = share(event);
  drag = { axis, range: null };
  document.body.dataset.dragging = "";
  let frame;
  const move = (moved) => {
    const to = share(moved);
    drag.range = Math.abs(to - from) > 0.01 ? [Math.min(from, to), Math.max(from, to)] : null;
    mark(axis, drag.range);
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      if (drag) dim(axis.closest(".chart"));
    });
  };
  const end = () => {
    reach.removeEventListener("pointermove", move);
    const { range } = drag;
    drag = undefined;
    delete document.body.dataset.dragging;
    choose(axis, range);
  };
  reach.addEventListener("pointermove", move);
  reach.addEventListener("lostpointercapture", end, { once: true });
});

// Arrows move the range of an axis that has the focus, with shift its upper end; Escape lets it go.
document.addEventListener("keydown", (event) => {
  const axis = event.target.closest?.(".axis:has(.reach:focus)");
  if (!axis) return;
  if (event.key === "Escape") return choose(axis, null);
  const step = { ArrowUp: 0.05, ArrowDown: -0.05 }[event.key];
  if (!step) return;
  event.preventDefault();
  const [from, to] = rangeOf(axis) ?? [0, 1];
  choose(axis, event.shiftKey ? [from, Math.max(from + 0.05, Math.min(1, to + step))] : [Math.min(to - 0.05, Math.max(0, from + step)), to]);
});

prepare();
addEventListener("shown", prepare);
