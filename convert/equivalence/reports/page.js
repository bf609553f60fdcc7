// Search, order, and the cells of the heat map by the arrow keys. Without this the page shows the same, worst first.
"use strict";
const all = (selector) => [...document.querySelectorAll(selector)];
const tables = all(".map"), cards = all("article"), search = document.querySelector("#search");
const worstFirst = tables.flatMap((table) => [...table.tBodies[0].rows]);
const byName = [...worstFirst].sort((a, b) => a.dataset.name.localeCompare(b.dataset.name, "en"));
const cells = (row) => [...row.querySelectorAll(".v")];
let shown = worstFirst;

function enter(cell) { // the one cell that the Tab key leads to
  for (const one of all('.v[tabindex="0"]')) one.tabIndex = -1;
  if (cell) cell.tabIndex = 0;
}

function show() {
  const asked = search.value.trim().toLowerCase();
  const starts = (text) => ` ${text.toLowerCase()}`.includes(` ${asked}`);
  const order = document.querySelector("[name=order]:checked").value === "name" ? byName : worstFirst;
  shown = order.filter((row) => starts(`${row.dataset.code} ${row.dataset.name}`));
  const length = Math.max(Number(tables[0].dataset.rows), Math.ceil(shown.length / tables.length));
  tables.forEach((table, at) => {
    const part = shown.slice(at * length, (at + 1) * length);
    table.hidden = !part.length;
    table.tBodies[0].replaceChildren(...part);
    table.caption.textContent = [...new Set([part[0], part.at(-1)])].map((row) => row?.dataset.code ?? "").join(" to ");
  });
  for (const card of cards) card.hidden = !starts(card.dataset.language) && !card.textContent.toLowerCase().includes(asked);
  for (const more of all("details")) more.open = Boolean(asked);
  enter(shown.flatMap(cells)[0]);
  document.querySelector("#found").textContent = asked ? `${shown.length} of ${worstFirst.length} rows` : "";
}

function move(event) {
  const row = shown.indexOf(event.target.closest("tr")), column = event.target.closest("td")?.cellIndex;
  const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
  if (row < 0 || down === undefined) return;
  event.preventDefault();
  const cell = shown[row + down]?.cells[column + right]?.querySelector(".v");
  if (!cell) return;
  enter(cell);
  cell.focus();
}

if (tables.length) {
  search.addEventListener("input", show);
  for (const choice of all("[name=order]")) choice.addEventListener("change", show);
  document.querySelector(".maps").addEventListener("keydown", move);
  document.querySelector(".controls").hidden = false;
  show();
}
