"use strict";
// Charts are drawn when they come near the screen, so that a long report opens at once.
const options = {
  responsive: true,
  displayModeBar: false,
};

function draw(chart) {
  if (chart.dataset.drawn) return;
  chart.dataset.drawn = "yes";
  const figure = JSON.parse(chart.querySelector("script").textContent);
  Plotly.newPlot(chart.querySelector(".plot"), figure.data, figure.layout, options);
}

const charts = [...document.querySelectorAll(".chart")];
const observer = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "800px" },
);
charts.forEach((chart) => observer.observe(chart));

// Paper is narrower than most screens, and nothing can be scrolled on it.
const shown = () => charts.filter((chart) => chart.offsetParent !== null);
addEventListener("beforeprint", () =>
  shown().forEach((chart) => {
    draw(chart);
    const width = chart.closest(".pair, .slices, .splits") ? 330 : 680;
    Plotly.relayout(chart.querySelector(".plot"), { width });
  }),
);
addEventListener("afterprint", () =>
  shown().forEach((chart) => Plotly.relayout(chart.querySelector(".plot"), { width: null, autosize: true })),
);

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
