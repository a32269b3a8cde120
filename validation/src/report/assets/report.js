"use strict";
const dialog = document.querySelector("dialog");

for (const zoom of document.querySelectorAll(".zoom")) {
  zoom.addEventListener("click", () => {
    dialog.querySelector(".enlarged").replaceChildren(zoom.querySelector("svg").cloneNode(true));
    dialog.classList.toggle("wide", zoom.parentElement.classList.contains("wide"));
    dialog.showModal();
  });
}
dialog.addEventListener("click", () => dialog.close());

for (const button of document.querySelectorAll(".save-svg")) {
  button.addEventListener("click", () => {
    const svg = button.closest("figure").querySelector("svg");
    const file = new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = button.dataset.name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

function sort(table, column, descending) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = column > 0 ? x - y : x.localeCompare(y, undefined, { numeric: true });
    return descending ? -order : order;
  };
  body.append(...[...body.rows].sort(compare));
}

for (const table of document.querySelectorAll(".sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      // The worst first: most figures here are distances.
      const descending = before ? before === "ascending" : column > 0;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  });
}
