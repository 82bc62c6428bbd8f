// SPDX-License-Identifier: MIT
// chart.js: events and visitors over time, as a chart (uPlot) and as a table for those who cannot
// see it or want the numbers.
//
// The visitors of a bucket are never more than its events, so their bar stands inside that of the
// events. The chart is made once per theme, grain and zone; a refresh only sets its data.

// uPlot's licence goes where its code goes: esbuild keeps a comment of this kind in the bundle.
/*! uPlot
 * The MIT License (MIT)
 *
 * Copyright (c) 2022 Leon Sorokin
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal
 * in the Software without restriction, including without limitation the rights
 * to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in
 * all copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 * IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 * FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 * AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
 * THE SOFTWARE. */
import uPlot from "uplot";

import { byId, el, Rows, setAttribute, setText } from "./dom.js";
import { countText, formatBucket, formatClock, formatDay } from "./format.js";
import { inUtc, zone } from "./zone.js";

/** @typedef {import("./api.js").Point} Point */

const HEIGHT_PX = 240;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const DAY_S = 86_400;
/** Counts are whole: no ticks between. */
const STEPS = Array.from({ length: 48 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));

export class ChartPanel {
  #host = byId("chart", HTMLElement);
  #time = byId("legend-time", HTMLElement);
  #events = byId("legend-events", HTMLElement);
  #visitors = byId("legend-visitors", HTMLElement);
  #details = byId("points", HTMLDetailsElement);
  #rows = new Rows(
    byId("points-rows", HTMLTableSectionElement),
    (/** @type {Point} */ point) => String(point.t),
    (point) => makeRow(point, this.#grain),
    updateRow,
  );
  /** @type {uPlot | null} */
  #plot = null;
  /** @type {Point[]} */
  #points = [];
  #grain = "minute";
  #zone = "";

  constructor() {
    this.#details.addEventListener("toggle", () => this.#showTable());
    new ResizeObserver(() => this.#resize()).observe(this.#host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#remake());
  }

  /**
   * @param {import("./api.js").Series} series
   * @param {string} label what is shown, for those who cannot see the chart
   */
  show(series, label) {
    const recut = series.grain !== this.#grain || zone() !== this.#zone;
    this.#points = series.points;
    this.#grain = series.grain;
    this.#zone = zone();
    if (recut) this.#rows.show([]);
    if (!this.#plot || recut) this.#remake();
    else this.#plot.setData(columns(this.#points));
    this.#showLegend();
    this.#showTable();
    setAttribute(this.#host, "aria-label", describe(this.#points, label));
  }

  clear() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#points = [];
    this.#rows.show([]);
    for (const part of [this.#time, this.#events, this.#visitors]) setText(part, "");
    setAttribute(this.#host, "aria-label", "Chart");
  }

  #remake() {
    this.#plot?.destroy();
    this.#plot = new uPlot(
      options(
        this.#host.clientWidth,
        () => this.#step(),
        () => this.#showLegend(),
      ),
      columns(this.#points),
      this.#host,
    );
  }

  #resize() {
    const width = this.#host.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width)
      this.#plot.setSize({ width, height: HEIGHT_PX });
  }

  /** The length of a bucket in seconds. */
  #step() {
    return this.#grain === "day" ? DAY_S : this.#grain === "hour" ? 3600 : 60;
  }

  #showLegend() {
    const index = this.#plot?.cursor.idx ?? this.#points.length - 1;
    const point = this.#points[index];
    setText(this.#time, point ? formatBucket(point.t, this.#grain) : "");
    setText(this.#events, point ? String(point.events) : "");
    setText(this.#visitors, point ? countText(point.visitors) : "");
  }

  #showTable() {
    this.#rows.show(this.#details.open ? [...this.#points].reverse() : []);
  }
}

/**
 * @param {Point[]} points
 * @returns {[number[], number[], (number | null)[]]}
 */
const columns = (points) => [
  points.map((point) => point.t / 1000),
  points.map((point) => point.events),
  points.map((point) => point.visitors),
];

/**
 * @param {Point[]} points
 * @param {string} label
 */
function describe(points, label) {
  const peak = points.reduce((most, { events }) => Math.max(most, events), 0);
  return `${label}. At most ${peak} events in one of ${points.length} bars. The table below has the numbers.`;
}

/**
 * @param {number} width
 * @param {() => number} step
 * @param {() => void} onCursor
 * @returns {uPlot.Options}
 */
function options(width, step, onCursor) {
  const css = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => css.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--muted"),
    font: FONT,
    ticks: { show: false },
    grid: { stroke: colour("--line"), width: 1 },
  };
  const bars = (/** @type {number} */ size, /** @type {number} */ most) =>
    uPlot.paths.bars?.({ size: [size, most, 1], radius: 0.12 });
  return {
    width: Math.max(1, width),
    height: HEIGHT_PX,
    padding: [12, 32, 0, 0],
    legend: { show: false },
    tzDate: (time_s) => {
      const time = new Date(time_s * 1000);
      return inUtc() ? uPlot.tzDate(time, "UTC") : time;
    },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { show: false },
    },
    hooks: { setCursor: [onCursor] },
    scales: {
      x: {
        time: true,
        range: (_, min, max) => [(min ?? 0) - step() / 2, (max ?? 0) + step() / 2],
      },
      y: { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.08)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 32, gap: 8, space: 68, values: tickTexts },
      {
        ...axis,
        incrs: STEPS,
        size: (_, texts) => 18 + 7 * Math.max(1, ...(texts ?? []).map((text) => text.length)),
        values: (_, ticks) => ticks.map(String),
      },
    ],
    series: [
      {},
      {
        fill: colour("--chart-events"),
        width: 0,
        paths: bars(0.78, 36),
        points: { show: false },
      },
      {
        fill: colour("--chart-visitors"),
        width: 0,
        paths: bars(0.36, 16),
        points: { show: false },
      },
    ],
  };
}

/**
 * @param {uPlot} _
 * @param {number[]} ticks
 * @param {number} __
 * @param {number} ___
 * @param {number} step
 */
const tickTexts = (_, ticks, __, ___, step) =>
  ticks.map((tick) => {
    const time = new Date(tick * 1000);
    const [hours, minutes] = inUtc()
      ? [time.getUTCHours(), time.getUTCMinutes()]
      : [time.getHours(), time.getMinutes()];
    const midnight = hours === 0 && minutes === 0;
    return step >= DAY_S || midnight ? formatDay(tick * 1000) : formatClock(tick * 1000);
  });

/**
 * @param {Point} point
 * @param {string} grain
 */
function makeRow(point, grain) {
  const events = el("td", { class: "number" });
  const visitors = el("td", { class: "number" });
  const head = el("th", { scope: "row" }, formatBucket(point.t, grain));
  return { element: el("tr", {}, head, events, visitors), events, visitors };
}

/**
 * @param {ReturnType<typeof makeRow>} row
 * @param {Point} point
 */
function updateRow(row, point) {
  setText(row.events, String(point.events));
  setText(row.visitors, countText(point.visitors));
}
