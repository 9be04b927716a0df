// A provenance task: its switches, its two tables and its plots.
"use strict";

Board.provenance = (section, group) => {
  const form = section.querySelector("form.switches");
  const tables = Object.fromEntries([...section.querySelectorAll("table[data-table]")].map((table) => [table.dataset.table, table]));
  const note = (name) => section.querySelector(`[data-note=${name}]`);
  const column = group.columns.indexOf(group.metric === "TPR" ? "matched" : "AUROC");
  const lines = new Map(group.lines.map((line) => [line.slice(0, 5).join("/"), line]));
  const hidden = new Set();
  // Main scores first, so that those shown at first have colours of their own.
  const byMain = group.entries.map((_, place) => place).sort((a, b) => group.entries[b].main - group.entries[a].main || a - b);
  const styles = byMain.reduce((found, entry, place) => ({ ...found, [entry]: place }), {});
  const fillRanking = Board.sortable(tables.ranking, ["#", "asc"]);
  const fillLines = Board.sortable(tables.lines, [group.columns[column], "desc"]);
  const plotOf = (name, label) => {
    const element = section.querySelector(`[data-plot=${name}]`);
    return element && Board.plot(element, label);
  };
  const drawQuality = plotOf("quality", "Quality of attacked images against detection");
  const drawCost = plotOf("cost", "Cost of a detector against detection");
  const robustness = section.querySelector("[data-plot=robustness]");
  const drawCurves = group.curves.map((curve) => {
    const element = robustness.appendChild(Board.make("div", { className: "curve" }));
    return Board.plot(element, `Robustness against ${curve.name}`);
  });

  const chosen = () => ({
    attack: Number(form.attack.value),
    set: Number(form.set.value),
    rate: form.rate ? Number(form.rate.value) : 0,
    target: form.target.value,
    families: form.columns.value === "families",
    scores: form.scores.checked,
  });
  const lineAt = (view, entry, target, attack = view.attack) => lines.get([entry, target, attack, view.set, view.rate].join("/"));
  const rankingAt = (view, attack = view.attack) => group.ranking[`${attack}/${view.set}/${view.rate}`];
  const shown = (view) => group.entries.flatMap((entry, place) => (entry.main || view.scores ? [place] : []));

  // [value, ms, PSNR, SSIM] of an entry under an attack for what is chosen: a target with its interval, or means.
  const NOTHING = [Board.EMPTY, Board.EMPTY, Board.EMPTY, Board.EMPTY];
  const places = ["ms", "PSNR", "SSIM"].map((name) => group.columns.indexOf(name));
  const numbers = (view, entry, attack = view.attack) => {
    const found = rankingAt(view, attack).find((row) => row[0] === entry);
    if (!found) return NOTHING;
    if (view.target === "all") return found[4];
    if (view.target.startsWith("family:")) return found[5][Number(view.target.slice(7))];
    const line = lineAt(view, entry, Number(view.target), attack);
    return line ? [line[5][column], ...places.map((place) => line[5][place] || Board.EMPTY)] : NOTHING;
  };
  const value = (view, entry, attack) => numbers(view, entry, attack)[0];
  const targetsOf = (view) => {
    if (view.target === "all") return group.targets.map((_, place) => place);
    if (!view.target.startsWith("family:")) return [Number(view.target)];
    return group.families[Number(view.target.slice(7))].targets.map((name) => group.targets.indexOf(name));
  };
  const about = (view) => {
    const rate = group.rates[view.rate] && group.metric === "TPR" ? ` in % at ${group.rates[view.rate]} false positives` : "";
    const attack = group.attacks[view.attack];
    return `${group.metric}${rate}, ${attack === "none" ? "clean images" : attack}, against ${group.sets[view.set].text}`;
  };

  const ranking = (view) => {
    const names = view.families ? group.families.map((family) => family.name) : group.targets;
    const rows = rankingAt(view).filter((row) => group.entries[row[0]].main || view.scores);
    fillRanking(
      ["#", "detector", "mean", "mean rank", "worst", ...names],
      rows.map(([entry, rank, worst, worstTarget, [mean], families, meanRank]) => {
        const cells = view.families
          ? families.map(([found]) => Board.cell(found))
          : group.targets.map((_, target) => {
              const line = lineAt(view, entry, target);
              return line ? Board.cell(line[5][column], line[7]) : Board.cell(null, "not computed");
            });
        return [Board.rank(rank), Board.nameOf(group.entries[entry]), Board.cell(mean, "", true), Board.meanRank(meanRank), Board.worst(worst, worstTarget), ...cells];
      }),
    );
    const apart = rows.filter((row) => row[1] === null && group.entries[row[0]].main).length;
    note("ranking").textContent =
      `${about(view)}. Ranked by the mean over all targets; beside it the mean rank over them with the lowest and highest that the images do not rule out, and the target that is found least.` +
      (apart ? " Without a rank: a number is missing, or other images." : "");
  };

  const overall = (view) => {
    if (!tables.overall) return;
    const areas = group.swept.flatMap((name) => [`${name}: worst area`, `${name}: mean area`]);
    Board.fill(tables.overall, ["detector", "mean rank", "mean", ...areas],
      group.overall[`${view.set}/${view.rate}`].map(([entry, meanRank, mean, found]) => [
        Board.nameOf(group.entries[entry]), Board.meanRank(meanRank), Board.cell(mean),
        ...found.flatMap(([worst, target, average]) => [Board.worst(worst, target), Board.cell(average)]),
      ]));
  };

  const everyNumber = (view) => {
    const targets = targetsOf(view);
    const rows = shown(view).flatMap((entry) => targets.map((target) => lineAt(view, entry, target)).filter(Boolean));
    fillLines(
      ["detector", ...(targets.length > 1 ? ["target"] : []), ...group.columns, "again"],
      rows.map(([entry, target, attack, , , cells, , why]) => {
        const [targetName, attackName] = [group.targets[target], group.attacks[attack]];
        const command = group.entries[entry].command
          .replaceAll("@target@", group.words[targetName])
          .replaceAll("@attack@", group.words[attackName]);
        return [
          Board.nameOf(group.entries[entry]), ...(targets.length > 1 ? [Board.text(targetName)] : []),
          ...cells.map((found, place) => Board.cell(found, why, place === column)), Board.make("td", {}, Board.copyButton(command)),
        ];
      }),
    );
    const whose = targets.length > 1 ? "" : `Images of ${group.targets[targets[0]]}: `;
    note("lines").textContent = `${whose}${about(view)}. Each line can be computed again with its command.`;
  };

  const plots = (view) => {
    const all = shown(view);
    const label = (entry) => `${group.entries[entry].name}, ${group.entries[entry].encoder}`;
    const visible = all.filter((entry) => !hidden.has(entry) && rankingAt(view, 0).concat(rankingAt(view)).some((row) => row[0] === entry));
    const point = (x, found, text) => ({ x, y: found[1], low: found[2], high: found[3], text: `${text}: ${found[0]}` });
    const grid = { left: 52, right: 16, top: 14, bottom: 46 };
    group.curves.forEach((curve, place) => {
      const along = [group.attacks.indexOf("none"), ...curve.attacks].filter((attack) => attack >= 0);
      const names = along.map((attack) => (group.attacks[attack] === "none" ? "clean" : group.attacks[attack]));
      const found = visible.map((entry) => ({
        name: label(entry), place: styles[entry],
        points: along.map((attack, x) => point(x, value(view, entry, attack), names[x])),
      }));
      drawCurves[place](() => ({
        grid, tooltip: Board.tooltip, yAxis: Board.percentAxis(`${group.metric} in %`),
        xAxis: { type: "category", data: names, boundaryGap: true, name: curve.name, nameLocation: "middle", nameGap: 28 },
        series: Board.series(found, true),
      }));
    });
    if (tables.robustness) {
      Board.fill(tables.robustness, ["detector", ...group.attacks],
        all.map((entry) => [Board.nameOf(group.entries[entry]), ...group.attacks.map((_, attack) => Board.cell(value(view, entry, attack)))]));
    }
    if (drawQuality) {
      const found = visible.map((entry) => ({
        name: label(entry), place: styles[entry],
        points: group.attacks.flatMap((name, attack) => {
          const [rate, , psnr] = numbers(view, entry, attack);
          return psnr[1] === null ? [] : [point(psnr[1], rate, `${name}, ${psnr[0]} dB`)];
        }),
      }));
      drawQuality(() => ({
        grid, tooltip: Board.tooltip, yAxis: Board.percentAxis(`${group.metric} in %`),
        xAxis: { type: "value", scale: true, name: "PSNR of attacked images in dB", nameLocation: "middle", nameGap: 28 },
        series: Board.series(found, false),
      }));
      const measured = group.attacks.map((name, attack) => [name, all.map((entry) => numbers(view, entry, attack))]);
      const known = (found, place) => (found.find((one) => one[place][1] !== null) || NOTHING)[place];
      Board.fill(tables.quality, ["attack", "PSNR in dB", "SSIM", ...all.map(label)],
        measured.filter(([, found]) => known(found, 2)[1] !== null).map(([name, found]) => [
          Board.make("th", { scope: "row" }, name), Board.cell(known(found, 2)), Board.cell(known(found, 3)), ...found.map(([rate]) => Board.cell(rate)),
        ]));
    }
    const found = visible.map((entry) => {
      const [rate, ms] = numbers(view, entry);
      return { name: label(entry), place: styles[entry], points: ms[1] === null ? [] : [point(ms[1], rate, `${ms[0]} ms`)] };
    });
    drawCost(() => ({
      grid, tooltip: Board.tooltip, yAxis: Board.percentAxis(`${group.metric} in %`),
      xAxis: { type: "log", name: "ms per image (log scale)", nameLocation: "middle", nameGap: 28, axisLabel: { hideOverlap: true } },
      series: Board.series(found, false),
    }));
    Board.fill(tables.cost, ["detector", "ms per image", group.metric],
      all.map((entry) => [Board.nameOf(group.entries[entry]), Board.cell(numbers(view, entry)[1]), Board.cell(value(view, entry))]));
    const whose = form.target.selectedOptions[0].textContent;
    note("plots").textContent =
      `Images of ${whose}, against ${group.sets[view.set].text}. Bars are 95 % intervals; means over several targets have none.`;
  };

  const legend = (view) => {
    const keys = shown(view).map((entry) => {
      const { color } = Board.style(styles[entry]);
      const key = Board.make("button", { type: "button", className: "key" }, Board.make("span", { className: "swatch" }),
        `${group.entries[entry].name}, ${group.entries[entry].encoder}`);
      key.firstChild.style.background = color;
      key.setAttribute("aria-pressed", String(!hidden.has(entry)));
      key.addEventListener("click", () => {
        if (!hidden.delete(entry)) hidden.add(entry);
        key.setAttribute("aria-pressed", String(!hidden.has(entry)));
        plots(chosen());
      });
      return key;
    });
    section.querySelector("[data-legend]").replaceChildren(...keys);
  };

  return () => {
    const view = chosen();
    ranking(view);
    overall(view);
    everyNumber(view);
    legend(view);
    plots(view);
  };
};
