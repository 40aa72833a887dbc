import "./actions.js";
import "./navigate.js";
import { follow } from "./live.js";
import { relative } from "./words.js";

follow();

document.querySelector("[data-theme-form]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const html = document.documentElement;
  const dark = html.dataset.theme ? html.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  html.dataset.theme = dark ? "light" : "dark";
  fetch(event.target.action, { method: "POST", body: new URLSearchParams({ theme: html.dataset.theme }), redirect: "manual" });
});

function tick() {
  for (const one of document.querySelectorAll("time[datetime]")) {
    const text = relative((Date.now() - Date.parse(one.dateTime)) / 1000);
    if (one.textContent !== text) one.textContent = text;
  }
}
setInterval(() => document.hidden || tick(), 5000);
addEventListener("shown", tick);

// A menu closes when something else is meant.
document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(target)) menu.open = false;
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
