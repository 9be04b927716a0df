// An attribution task: its switches, its table, and the confusion matrix of one detector.
"use strict";

Board.attribution = (section, group) => {
  const [form, whose] = section.querySelectorAll("form.switches");
  const ranking = section.querySelector("table[data-table=ranking]");
  const matrix = section.querySelector("table[data-table=confusion]");
  const fill = Board.sortable(ranking, ["#", "asc"]);
  const draw = Board.plot(section.querySelector("[data-plot=confusion]"), "Confusion matrix");

  const confusion = (line, place) => {
    const found = group.confusions[place] || { answers: [], rows: [] };
    draw(() => Board.matrix(found.answers, found.rows));
    Board.fill(matrix, ["images of", ...found.answers],
      found.rows.map(([name, cells]) => [Board.make("th", { scope: "row" }, name), ...cells.map((cell) => Board.cell(cell))]));
    section.querySelector("[data-note=confusion]").textContent = line
      ? `${line.entry.name}, ${line.entry.encoder}, ${group.attacks[line.attack] === "none" ? "clean images" : group.attacks[line.attack]}: whose images (lines) got which answer (columns), in % of the line`
      : "no matrix for what is chosen";
  };

  return () => {
    const fits = (line) =>
      line.attack === Number(form.attack.value) && line.level === Number(form.level.value) &&
      line.rate === (form.rate ? Number(form.rate.value) : 0) && (line.entry.main || form.scores.checked);
    const lines = group.lines.map((line, place) => [line, place]).filter(([line]) => fits(line));
    fill(
      ["#", "detector", ...group.columns, "again"],
      lines.map(([line]) => [
        Board.rank(line.rank), Board.nameOf(line.entry),
        ...line.cells.map((found, place) => Board.cell(found, line.why, place === 0)), Board.make("td", {}, Board.copyButton(line.command)),
      ]),
    );
    const drawn = lines.filter(([, place]) => group.confusions[place]);
    const before = whose.detector.selectedOptions[0]?.textContent;
    whose.detector.replaceChildren(
      ...drawn.map(([line, place]) => Board.make("option", { value: place }, `${line.entry.name}, ${line.entry.encoder}`)),
    );
    const same = [...whose.detector.options].find((option) => option.textContent === before);
    if (same) same.selected = true;
    const show = () => confusion(group.lines[whose.detector.value], whose.detector.value);
    whose.onchange = show;
    show();
  };
};
