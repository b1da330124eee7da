"use strict";

// Values beside the pointer: each drawing has a cursor, the table under the drawings holds what to say.
for (const charts of document.querySelectorAll("[data-chart]")) {
  const rows = [...charts.querySelectorAll("[data-values] tbody tr")];
  const heads = [...charts.querySelectorAll("[data-values] thead th")].map((head) => head.textContent);
  const reading = charts.querySelector(".reading");
  const drawings = [...charts.querySelectorAll("svg.chart")];
  let current = -1;

  const show = (index) => {
    current = Math.max(0, Math.min(rows.length - 1, index));
    const row = rows[current];
    const line = document.createElement("p");
    [...row.cells].forEach((cell, column) => {
      const value = cell.textContent.trim();
      if (!value) return;
      const name = document.createElement(column === 0 ? "b" : "span");
      name.textContent = column < 2 ? value : heads[column] + " " + value;
      line.append(name, column < 2 ? " " : "; ");
    });
    reading.replaceChildren(line);
    for (const drawing of drawings) {
      const cursor = drawing.querySelector(".cursor");
      cursor.setAttribute("x1", row.dataset.x);
      cursor.setAttribute("x2", row.dataset.x);
      cursor.setAttribute("visibility", "visible");
    }
  };

  for (const drawing of drawings) {
    drawing.addEventListener("pointermove", (event) => {
      const inverse = drawing.getScreenCTM().inverse();
      const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse).x;
      let best = 0;
      rows.forEach((row, index) => {
        if (Math.abs(row.dataset.x - x) < Math.abs(rows[best].dataset.x - x)) best = index;
      });
      if (best !== current) show(best);
    });
    drawing.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const end = { Home: 0, End: rows.length - 1 }[event.key];
      if (step === undefined && end === undefined) return;
      event.preventDefault();
      show(end === undefined ? current + step : end);
    });
  }
}

// Filters.
const filters = document.querySelector(".filters");
if (filters) {
  filters.hidden = false;
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const apply = () => {
    for (const button of filters.querySelectorAll("[data-filter]")) {
      for (const finding of document.querySelectorAll(`.finding[data-severity="${button.dataset.filter}"]`)) {
        finding.hidden = !pressed(button);
      }
    }
    const clean = pressed(filters.querySelector("[data-clean]"));
    for (const row of document.querySelectorAll("[data-is-clean]")) {
      row.hidden = !clean;
      document.querySelector(row.querySelector("a").getAttribute("href")).hidden = !clean;
    }
  };
  filters.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    button.setAttribute("aria-pressed", String(!pressed(button)));
    apply();
  });
  apply();
}

// A link to a rule, or into a box, unfolds what it leads to and all around it; on paper everything is unfolded but tables of what is drawn.
const unfold = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  if (target && target.classList.contains("inside")) target.querySelector("summary").focus();
};
addEventListener("hashchange", unfold);
unfold();
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open], .values)")];
  folded.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => folded.forEach((details) => (details.open = false)));
