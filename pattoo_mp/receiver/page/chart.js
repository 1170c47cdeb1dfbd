// One chart: a card with a heading, what each line is and has at the crosshair, and the plot.

import { drawMarks, eventsOf, wrongAt } from "./axis.js";
import * as api from "./api.js";
import { Columns } from "./columns.js";
import { foreign, h, say } from "./dom.js";
import { TIME_STEPS, timeTick, timeTicks } from "./time.js";
import { heading, inLegend, span, tick, words } from "./units.js";

// Paul Tol's palettes "bright" and "muted", which people with any kind of colour blindness can tell apart.
const COLOURS = {
  light: ["#3366aa", "#dd5566", "#1f7a33", "#9a7d0a", "#1d8fb3", "#aa3377", "#882255", "#44aa99", "#7a7a7a", "#332288"],
  dark: ["#6fa8e8", "#ee7788", "#4cba60", "#d8c34a", "#66ccee", "#d977b4", "#cc6688", "#55c7b3", "#bbbbbb", "#a99ae8"],
};
const DASHES = [undefined, [5, 4], [2, 3]];
const HEIGHT = 150;
const POINTS_A_PIXEL = 1.7;
const MOST_BOUNDS = 3;
// As the receiver has it: silent is nothing for three intervals and so long.
const SILENT_MS = 5000;

const dark = matchMedia("(prefers-color-scheme: dark)");
export const isDark = () => dark.matches;
export const onTheme = (listener) => dark.addEventListener("change", listener);
export const colour = (index) => COLOURS[isDark() ? "dark" : "light"][index % COLOURS.light.length];

function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { text: of("--dim"), grid: of("--grid"), missed: of("--missed"), late: of("--late"), outage: of("--outage") };
}

export class Chart {
  /**
   * `plan`: id, title, unit, lines (id, agent, host, kind, key, name, factor, sign, colour, dash), and isStacked,
   * most (the greatest value there can be), note. `on` has functions: select(from, to), cursor(time, words),
   * close() for a chart of one's own, and remove(line).
   */
  constructor(plan, on) {
    this.plan = plan;
    this.on = on;
    this.columns = null;
    this.marks = [];
    this.heard = new Map();
    this.hidden = new Set();
    this.isVisible = false;
    this.isStale = true;
    this.isDragging = false;
    this.loading = 0;
    this.plot = null;
    this.note = h("span", { className: "note" });
    this.legend = h("ul", { className: "legend" });
    this.place = h("div", { className: "plot" });
    this.element = h("section", { className: "chart", tabIndex: 0, "data-chart": plan.id, "aria-label": plan.title },
      h("header", {},
        h("h3", { title: plan.meaning }, plan.title), h("span", { className: "unit" }, heading(plan.unit)), this.note,
        on.close && h("button", { type: "button", className: "close", title: "Remove this chart", "aria-label": `Remove the chart ${plan.title}`, onclick: on.close }, "×")),
      this.legend, this.place);
    this.values = plan.lines.map((line, index) => this.#entry(line, index));
    this.sizes = new ResizeObserver(() => this.#resize());
    this.sizes.observe(this.place);
  }

  #entry(line, index) {
    const value = h("output", {}, "-");
    const toggle = h("button", {
      type: "button", className: "line", "aria-pressed": "true", title: [line.name, words(line.key).meaning, line.key].filter(Boolean).join("\n").slice(0, 400),
      onclick: () => this.#toggle(index, toggle),
    }, h("i", { className: `swatch c${line.colour % 10}${line.dash ? " dashed" : ""}` }), foreign(line.name), value);
    this.legend.append(h("li", {}, toggle, this.on.remove && h("button", {
      type: "button", className: "close", title: "Take this line off", "aria-label": `Take ${line.name.slice(0, 100)} off`, onclick: () => this.on.remove(line),
    }, "×")));
    return value;
  }

  #toggle(index, button) {
    const isHidden = !this.hidden.has(index);
    this.hidden[isHidden ? "add" : "delete"](index);
    button.setAttribute("aria-pressed", String(!isHidden));
    this.#rebuild();
  }

  get ids() { return [...new Set(this.plan.lines.map((line) => line.id))]; }

  get width() { return Math.max(120, this.place.clientWidth); }

  /** Ask for a range and draw it. `newest` has the last value of each series, from before the range was asked for. */
  async load(from, to, newest) {
    this.isStale = false;
    this.loading += 1;
    const number = this.loading;
    try {
      const answer = await this.#range(from, to);
      if (number !== this.loading) return;
      this.columns = new Columns(this.plan.lines, answer, newest);
      this.#hear();
      const hosts = new Map(this.plan.lines.map((line) => [line.agent, line.host]));
      this.marks = answer.agents.map((agent) => ({ ...agent, host: hosts.get(agent.agent) ?? "" }));
      this.element.classList.remove("failed");
      say(this.note, [this.plan.note, this.columns.isCoarse ? `a point is ${span(this.columns.step / 1000)}` : ""].filter(Boolean).join(" · "));
      this.#renew();
    } catch (error) {
      if (number !== this.loading) return;
      this.isStale = true;
      this.element.classList.add("failed");
      say(this.note, error instanceof api.Refusal ? error.message : "");
    }
  }

  async #range(from, to) {
    const ids = this.plan.lines.map((line) => line.id);
    const points = this.width * POINTS_A_PIXEL;
    return api.range(ids, from, to, points);
  }

  /** What is wrong at a time, in words. */
  wrong(time) { return wrongAt(this.#marked(), time); }

  /** What is wrong between two times. */
  events(from, to) { return eventsOf(this.#marked(), from, to); }

  /** What the receiver said of the polls, and who has been silent since. */
  #marked() {
    const now = api.now();
    return this.marks.map((agent) => {
      const heard = this.heard.get(agent.agent);
      const isSilent = heard && now - heard.time > 3 * heard.interval + SILENT_MS;
      if (!isSilent || api.isAway() || agent.gaps.some((gap) => gap.before_ms === null)) return agent;
      return { ...agent, gaps: [...agent.gaps, { kind: "open", after_ms: heard.time, before_ms: null, missed: 0 }] };
    });
  }

  #hear() {
    this.heard = new Map();
    for (const { line, last, interval } of this.columns?.parts ?? []) {
      const before = this.heard.get(line.agent);
      if (last && (!before || last.time > before.time)) this.heard.set(line.agent, { time: last.time, interval: Math.min(interval, before?.interval ?? interval) });
    }
  }

  /** Put new polls in. Returns whether something was missing before one of them, or one came late. */
  put(polls) {
    if (!this.columns) return false;
    let isOdd = false;
    for (const poll of polls) {
      poll.series.forEach((id, index) => {
        if (this.columns.byId.has(id)) isOdd = this.columns.put(id, poll.time_ms, poll.values[index]) || isOdd;
      });
    }
    this.isNew = true;
    this.#hear();
    return isOdd;
  }

  /** Show this part of the time. */
  frame(from, to) {
    if (!this.plot || !this.columns || this.isDragging) return;
    if (this.isNew) {
      this.isNew = false;
      this.columns.forget(from - (to - from) / 10);
      this.plot.setData(this.#table(), false);
    }
    this.plot.batch(() => this.plot.setScale("x", { min: from, max: to }));
    if (this.plot.cursor.left < 0 || this.plot.cursor.left === null) this.#say(to, true);
    else this.#sayAtCursor();
  }

  #table() {
    return this.columns.table({ isStacked: this.plan.isStacked, bounds: this.#bounds() });
  }

  /** The lines that are drawn with their least and greatest values: few, and only if points are means. */
  #bounds() {
    const gauges = this.plan.lines.flatMap((line, index) => (line.kind === "gauge" && !this.hidden.has(index) ? [index] : []));
    return !this.plan.isStacked && this.columns.isCoarse && gauges.length <= MOST_BOUNDS ? gauges : [];
  }

  #say(time, isNewest) {
    this.values.forEach((value, index) => {
      const line = this.plan.lines[index];
      // The newest value is shown until its agent counts as silent.
      const oldest = isNewest ? 3 * line.interval + SILENT_MS : 0;
      say(value, inLegend(this.columns?.at(index, time, oldest) ?? null, this.plan.unit));
    });
  }

  #sayAtCursor() {
    const { left } = this.plot.cursor;
    if (left === null || left < 0) return;
    const time = this.plot.posToVal(left, "x");
    this.#say(time, false);
    if (this.place.matches(":hover") || this.isLed) this.on.cursor(time, this.wrong(time));
  }

  /** Move the crosshair to a time; null: away. */
  point(time) {
    if (!this.plot) return;
    this.isLed = time !== null;
    const left = time === null ? -10 : this.plot.valToPos(time, "x");
    this.plot.setCursor({ left, top: time === null ? -10 : this.plot.over.clientHeight / 2 });
  }

  #resize() {
    if (this.plot) this.plot.setSize({ width: this.width, height: HEIGHT });
  }

  redraw() {
    if (this.columns) this.#rebuild();
  }

  /** Draw other values. What a plot is made of stays the same mostly, and with it the crosshair. */
  #renew() {
    const shape = String(this.#bounds());
    if (!this.plot || shape !== this.shape) {
      this.#rebuild();
      return;
    }
    this.plot.setData(this.#table(), false);
    this.plot.redraw(true);
  }

  #rebuild() {
    const scale = this.plot ? { min: this.plot.scales.x.min, max: this.plot.scales.x.max } : null;
    const { left, top } = this.plot?.cursor ?? {};
    this.plot?.destroy();
    this.shape = String(this.#bounds());
    this.plot = new uPlot(this.#options(), this.#table(), this.place);
    this.#touch(this.plot.over);
    this.isNew = false;
    if (scale?.min) this.plot.setScale("x", scale);
    if (left >= 0) this.plot.setCursor({ left, top });
  }

  #options() {
    const { plan } = this;
    const look = theme();
    const bounds = this.#bounds();
    const series = [{}, ...plan.lines.map((line, index) => this.#series(line, index)), ...bounds.flatMap(() => [{ width: 0, points: { show: false } }, { width: 0, points: { show: false } }])];
    const first = plan.lines.length + 1;
    const bands = bounds.map((index, number) => ({ series: [first + 2 * number, first + 2 * number + 1], fill: `${colour(plan.lines[index].colour)}33` }));
    if (plan.isStacked) for (let index = 2; index <= plan.lines.length; index += 1) bands.push({ series: [index, index - 1], fill: `${colour(plan.lines[index - 1].colour)}99` });
    return {
      width: this.width, height: HEIGHT, ms: 1, legend: { show: false }, padding: [6, 6, 0, 0], series, bands,
      cursor: {
        sync: { key: "page", scales: ["x", null], setSeries: false, filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
        drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 },
        bind: { dblclick: () => () => null },
      },
      scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => this.#scale(low, high) } },
      axes: [
        { stroke: look.text, grid: { stroke: look.grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", size: 22, gap: 5, space: 70, incrs: TIME_STEPS, splits: (_plot, _axis, low, high, step) => timeTicks(low, high, step), values: (plot, splits, _axis, _space, step) => splits.map((time) => (isCut(plot, time) ? "" : timeTick(time, step))) },
        { stroke: look.text, grid: { stroke: look.grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", size: 62, gap: 4, space: 26, values: (_, splits) => splits.map((value) => tick(value, plan.unit)), incrs: ["bytes", "bytes/s"].includes(plan.unit) ? BINARY_STEPS : undefined },
      ],
      hooks: {
        drawClear: [(plot) => drawMarks(plot, this.#marked(), look, { isAbove: false })],
        draw: [(plot) => drawMarks(plot, this.#marked(), look, { isAbove: true })],
        setSelect: [(plot) => this.#selected(plot)],
        setCursor: [() => this.#sayAtCursor()],
      },
    };
  }

  #series(line, index) {
    const stroke = colour(line.colour);
    const isAlone = this.plan.lines.length === 1 || this.plan.isFilled;
    const fill = this.plan.isStacked ? (index === 0 ? `${stroke}99` : undefined) : isAlone ? `${stroke}2e` : undefined;
    return {
      stroke, width: this.plan.isStacked ? 0 : 1.5, dash: DASHES[line.dash], show: !this.hidden.has(index), fill,
      // Only values that stand alone between gaps: a line needs two.
      points: { show: false, size: 4, filter: lonely, fill: stroke, width: 0 },
    };
  }

  #scale(low, high) {
    const { most, unit } = this.plan;
    if (low === null || low === undefined || high === null) return [0, most ?? 1];
    if (most) return [0, most];
    if (low < 0 && this.plan.lines.some((line) => line.sign < 0)) {
      return [low * 1.1, Math.max(high * 1.1, -low * 0.1)];
    }
    if (low > 0.6 * high && this.plan.isFree && high > low) return [low - (high - low) * 0.2, high + (high - low) * 0.2];
    return [Math.min(0, low * 1.1), high > 0 ? high * 1.1 : unit === "percent" ? 1 : Math.max(1, high)];
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.on.select(from, to);
  }

  /** A finger moves the crosshair; a mouse stops the chart while it chooses a part of it. */
  #touch(over) {
    const point = (event) => {
      const [finger] = event.touches;
      const box = over.getBoundingClientRect();
      this.isLed = true;
      this.plot.setCursor({ left: finger.clientX - box.left, top: box.height / 2 }, true, true);
    };
    over.addEventListener("touchstart", point, { passive: true });
    over.addEventListener("touchmove", point, { passive: true });
    over.addEventListener("touchend", () => { this.isLed = false; });
    over.addEventListener("mousedown", () => {
      this.isDragging = true;
      window.addEventListener("mouseup", () => { this.isDragging = false; }, { once: true });
    });
  }

  destroy() {
    this.loading += 1;
    this.sizes.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }
}

const BINARY_STEPS = Array.from({ length: 52 }, (_, power) => [2 ** power, 1.5 * 2 ** power]).flat().filter((step) => step >= 1);

/** Whether a label at this time would not fit at the right. */
const isCut = (plot, time) => plot.valToPos(time, "x") > plot.over.clientWidth - 18;

/** The indexes of points with nothing on both sides. */
function lonely(plot, number) {
  const values = plot.data[number];
  const [from, to] = plot.series[0].idxs ?? [0, values.length - 1];
  const found = [];
  for (let index = from; index <= to; index += 1) {
    if (typeof values[index] !== "number") continue;
    let before = index - 1;
    while (before >= 0 && values[before] === undefined) before -= 1;
    let after = index + 1;
    while (after < values.length && values[after] === undefined) after += 1;
    if ((before < 0 || values[before] === null) && (after >= values.length || values[after] === null)) found.push(index);
  }
  return found.length ? found : null;
}
