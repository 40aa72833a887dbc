"use strict";
// A click on a column's head sorts by it, a second one the other way round; empty cells stay last.
document.querySelectorAll("table.sortable").forEach((table) => {
  table.querySelectorAll("thead button").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const column = [...head.parentNode.children].indexOf(head);
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = direction === 1 ? "ascending" : "descending";
      const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const difference = Number(x) - Number(y);
        return direction * (Number.isNaN(difference) ? x.localeCompare(y) : difference);
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
    });
  });
});

// Where a mark of a trial is pointed at, a card tells what the trial was, and its marks in all charts light up.
const { names, trials } = JSON.parse(document.getElementById("cards").textContent);
const card = document.createElement("div");
card.className = "card";
card.hidden = true;
document.body.append(card);
let shown = null;

// Marks are small: those a few pixels away count, too.
function markAt(x, y) {
  for (const [dx, dy] of [[0, 0], [0, -4], [0, 4], [-4, 0], [4, 0]]) {
    const mark = document.elementFromPoint(x + dx, y + dy)?.closest?.(".chart [data-trial]");
    if (mark) return mark;
  }
  return null;
}

function line(name, value) {
  const row = document.createElement("div");
  row.append(Object.assign(document.createElement("span"), { textContent: name }));
  row.append(Object.assign(document.createElement("b"), { textContent: value }));
  return row;
}

// Trials in the table are told from there, others from the data at the end of the page.
function factsOf(number) {
  const row = document.getElementById(`trial-${number}`);
  if (!row) return ["state", ...names].map((name, place) => [name, (trials[number] ?? [])[place] ?? ""]);
  const heads = [...row.closest("table").tHead.rows[0].cells];
  return [...row.cells].map((cell, place) => [heads[place].textContent, cell.textContent]).slice(1);
}

function tell(mark) {
  const number = mark?.dataset.trial ?? null;
  if (number !== shown) {
    document.querySelectorAll(".lit").forEach((other) => other.classList.remove("lit"));
    shown = number;
    if (number !== null) {
      document.querySelectorAll(`.chart [data-trial="${number}"]`).forEach((other) => other.classList.add("lit"));
      const told = factsOf(number).filter(([, value]) => value !== "");
      card.replaceChildren(line("trial", number), ...told.map(([name, value]) => line(name, value)));
    }
  }
  const stretch = mark?.dataset.trials;
  card.dataset.stretch = stretch ? `the best of trials ${stretch.replace("-", " to ")}` : "";
  card.hidden = number === null;
}

function place(x, y) {
  const { width, height } = card.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? x - 14 - width : x + 14;
  card.style.left = `${Math.max(4, left) + scrollX}px`;
  card.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - height - 4)) + scrollY}px`;
}

addEventListener("pointermove", (event) => {
  const inside = event.target.closest?.(".chart");
  if (!inside && shown === null) return;
  tell(inside ? markAt(event.clientX, event.clientY) : null);
  if (shown !== null) place(event.clientX, event.clientY);
});

// A click leads to the trial's row in the table.
addEventListener("click", (event) => {
  const mark = event.target.closest?.(".chart") && markAt(event.clientX, event.clientY);
  const row = mark && document.getElementById(`trial-${mark.dataset.trial}`);
  if (!row) return;
  tell(null);
  location.hash = row.id;
});
