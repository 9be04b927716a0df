// Plots: points with intervals, and a matrix of shares. Every one has its numbers in a table beside it.
"use strict";

Board.COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c99700", "#56a0d9", "#7a5fb5", "#8a6d3b", "#5f6b76", "#b03a5b"];
Board.SYMBOLS = ["circle", "rect", "triangle", "diamond", "emptyCircle", "emptyRect", "emptyTriangle", "emptyDiamond"];
Board.DASHES = ["solid", "dashed", "dotted"];

Board.style = (place) => ({
  color: Board.COLOURS[place % Board.COLOURS.length],
  symbol: Board.SYMBOLS[place % Board.SYMBOLS.length],
  dash: Board.DASHES[Math.floor(place / Board.COLOURS.length) % Board.DASHES.length],
});

Board.dark = matchMedia("(prefers-color-scheme: dark)");
Board.still = matchMedia("(prefers-reduced-motion: reduce)");

// A plot in an element; returns a function that draws the option that `make` gives, anew when the scheme changes.
Board.plot = (element, label) => {
  let chart = null;
  let last = null;
  const draw = (make) => {
    last = make;
    if (!chart) chart = echarts.init(element, Board.dark.matches ? "dark" : null, { renderer: "svg" });
    const described = { enabled: true, label: { enabled: true, description: `${label}. The same numbers are in the table below.` } };
    chart.setOption({ backgroundColor: "transparent", animation: !Board.still.matches, animationDuration: 250, aria: described, ...make() }, true);
  };
  new ResizeObserver(() => chart && element.clientWidth && chart.resize()).observe(element);
  Board.dark.addEventListener("change", () => {
    if (!chart) return;
    chart.dispose();
    chart = null;
    draw(last);
  });
  return draw;
};

// Vertical bars from low to high at [x, low, high], as a series of their own.
Board.bars = (points, colour) => ({
  type: "custom",
  silent: true,
  z: 1,
  itemStyle: { color: colour },
  encode: { x: 0, y: [1, 2] },
  data: points.filter((point) => point.low !== null && point.low !== undefined).map((point) => [point.x, point.low, point.high]),
  renderItem: (_, api) => {
    const [x, top] = api.coord([api.value(0), api.value(2)]);
    const [, bottom] = api.coord([api.value(0), api.value(1)]);
    const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: colour, lineWidth: 1.2, opacity: 0.75 } });
    return { type: "group", children: [line(x, top, x, bottom), line(x - 3, top, x + 3, top), line(x - 3, bottom, x + 3, bottom)] };
  },
});

// Points of several entries: {name, place, points: [{x, y, low, high, text}]}; `joined` draws lines between them.
Board.series = (found, joined) =>
  found.flatMap(({ name, place, points }) => {
    const { color, symbol, dash } = Board.style(place);
    const data = points.filter((point) => point.y !== null).map((point) => ({ value: [point.x, point.y], text: point.text }));
    return [
      {
        name, type: joined ? "line" : "scatter", data, symbol, symbolSize: joined ? 8 : 12, color, z: 2,
        lineStyle: { type: dash, width: 2 }, emphasis: { focus: "series" },
      },
      { name, ...Board.bars(points, color) },
    ];
  });

// Names of users may hold anything: tooltips show them as text.
Board.tooltip = { trigger: "item", confine: true, renderMode: "richText", formatter: (item) => `${item.seriesName}\n${item.data.text ?? ""}` };

Board.percentAxis = (name) => ({ type: "value", name, nameLocation: "middle", nameGap: 34, min: 0, max: 100 });

// Shares in %: `answers` are columns, `rows` [name, cells].
Board.matrix = (answers, rows) => {
  const names = rows.map(([name]) => name);
  const data = rows.flatMap(([, cells], y) => cells.map((cell, x) => ({ value: [x, y, cell[1]], text: cell[0] })));
  const ends = Board.dark.matches ? ["#16202b", "#4aa3e0"] : ["#f3f6f9", "#0a5c94"];
  return {
    grid: { left: 8, right: 12, top: 8, bottom: 8, containLabel: true },
    tooltip: { confine: true, renderMode: "richText", formatter: ({ data: one }) => `${names[one.value[1]]}\n→ ${answers[one.value[0]]}: ${one.text} %` },
    xAxis: { type: "category", data: answers, position: "top", axisLabel: { rotate: 35, interval: 0 }, axisTick: { show: false } },
    yAxis: { type: "category", data: names, inverse: true, axisLabel: { interval: 0 }, axisTick: { show: false } },
    visualMap: { show: false, min: 0, max: 100, inRange: { color: ends } },
    series: [
      {
        type: "heatmap", data, itemStyle: { borderColor: Board.dark.matches ? "#0f151c" : "#fff", borderWidth: 2 },
        label: { show: true, formatter: ({ data: one }) => (one.value[2] >= 0.05 ? String(Math.round(one.value[2])) : "") },
      },
    ],
  };
};
