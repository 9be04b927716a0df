// Small parts that the other scripts share. No number is formatted here: texts come with the data.
"use strict";
const Board = {};

// An element with properties and children; texts are only ever set as text.
Board.make = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

Board.EMPTY = ["–", null, null, null];

// Columns whose smallest number is the best: a click sorts them upwards first.
Board.RANKS = ["#", "mean rank"];

// The same cell as in templates/macros.html.jinja: value, interval in small print, a tint from low to high.
Board.cell = (found, why = "", strong = false) => {
  const [text, value, low, high] = found || Board.EMPTY;
  const cell = Board.make("td", { className: "number" });
  cell.dataset.order = value === null ? -1 : value;
  if (low !== null && low !== undefined) {
    cell.style.setProperty("--low", low);
    cell.style.setProperty("--high", high);
  }
  if (why && value === null) cell.title = why;
  const cut = text.indexOf(" [");
  const front = cut < 0 ? text : text.slice(0, cut);
  cell.append(strong ? Board.make("b", {}, front) : front);
  if (cut >= 0) cell.append(" ", Board.make("small", {}, text.slice(cut + 1)));
  return cell;
};

Board.text = (text, order) => {
  const cell = Board.make("td", {}, text);
  if (order !== undefined) cell.dataset.order = order;
  return cell;
};

Board.nameOf = (entry) => {
  const head = Board.make("th", { scope: "row" }, Board.make("a", { href: entry.page }, entry.name));
  if (entry.encoder !== "none") head.append(" ", Board.make("small", {}, entry.encoder));
  if (entry.own) head.append(" ", Board.make("span", { className: "own" }, "yours"));
  return head;
};

Board.rank = (rank) => {
  const cell = Board.text(rank === null ? "–" : String(rank), rank === null ? 9999 : rank);
  cell.className = "number";
  return cell;
};

// A mean rank with its interval in small print; those without one are last.
Board.meanRank = (found) => {
  const cell = Board.cell(found);
  if (found[1] === null) cell.dataset.order = 9999;
  return cell;
};

// What is least, with its target in small print.
Board.worst = (found, target) => {
  const cell = Board.text(found[0], found[1] === null ? -1 : found[1]);
  if (target) cell.append(" ", Board.make("small", {}, target));
  return cell;
};

// A button that copies a command and says what it copied.
Board.copyButton = (text) => {
  const button = Board.make("button", { type: "button", className: "copy", title: text }, "Copy command");
  button.addEventListener("click", () => Board.copy(text));
  return button;
};

Board.copy = async (text) => {
  const toast = document.getElementById("toast");
  let done = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = "Copy this";
  }
  toast.replaceChildren(`${done}: `, Board.make("code", {}, text));
  toast.classList.add("shown");
  clearTimeout(Board.hiding);
  Board.hiding = setTimeout(() => toast.classList.remove("shown"), 12000);
};

// Replace the contents of a table. `head`: texts; `rows`: lists of cells.
Board.fill = (table, head, rows) => {
  const isNumber = (place) => rows.length > 0 && rows[0][place].className === "number";
  const cells = head.map((text, place) => Board.make("th", { scope: "col", className: isNumber(place) ? "number" : "" }, text));
  table.tHead.replaceChildren(Board.make("tr", {}, ...cells));
  table.tBodies[0].replaceChildren(...rows.map((row) => Board.make("tr", {}, ...row)));
};

// A table that sorts by every column and filters; what was sorted and typed before stays when it is filled anew.
// `order`: [name of a column, "asc" or "desc"] for the beginning, null for the order in which the lines stand.
Board.sortable = (table, order) => {
  let shown = null;
  const start = () => {
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const last = table.sorted && names.includes(table.sorted[0]) ? table.sorted : order;
    const numbers = names.flatMap((name, place) => (!Board.RANKS.includes(name) && Board.isNumber(table, place) ? [place] : []));
    shown = new DataTable(table, {
      paging: false,
      info: false,
      autoWidth: false,
      order: last ? [[names.indexOf(last[0]), last[1]]] : [],
      columnDefs: [
        { targets: numbers, orderSequence: ["desc", "asc"] },
        { targets: names.flatMap((name, place) => (name === "again" ? [place] : [])), orderable: false },
      ],
      layout: { topStart: "search", topEnd: null, bottomStart: null, bottomEnd: null },
      language: { search: "Filter", searchPlaceholder: "name or number", emptyTable: "no rows", zeroRecords: "nothing fits" },
      search: { search: table.typed || "" },
    });
    table.names = names;
  };
  start();
  return (head, rows) => {
    const [by] = shown.order();
    if (by) table.sorted = [table.names[by[0] ?? by.idx], by[1] ?? by.dir];
    table.typed = shown.search();
    shown.destroy();
    Board.fill(table, head, rows);
    start();
  };
};

Board.isNumber = (table, place) => {
  const row = table.tBodies[0].rows[0];
  return Boolean(row && row.cells[place] && row.cells[place].dataset.order !== undefined);
};
