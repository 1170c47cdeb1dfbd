// All hosts: a small card for each, those in trouble first, as the receiver orders them.

import * as address from "./address.js";
import * as api from "./api.js";
import { colour } from "./chart.js";
import { foreign, h, say } from "./dom.js";
import { stateOf, troubleOf } from "./host.js";
import { shown, unitOf } from "./units.js";

const FIGURES = [
  { key: "cpu_times_percent_idle", name: "processor", of: (value) => 100 - value, unit: "percent", most: 100 },
  { key: "memory_percent", name: "memory", of: (value) => value, unit: "percent", most: 100 },
  { key: "load_average_01min", name: "load", of: (value) => value, unit: "", most: null },
];
const POINTS = 120;
const MOST_HOSTS = 1000;

export class Wall {
  constructor(main) {
    this.cards = new Map();
    this.place = h("div", { className: "wall" });
    main.replaceChildren(h("div", { className: "head" }, h("h1", {}, "Hosts"), h("span", { className: "dim" }, "those in trouble first")), h("div", { className: "charts own" }), this.place);
  }

  /** Ask for everything anew, and show it. */
  async refresh(agents, [from, to]) {
    const found = await Promise.all(FIGURES.map((figure) => api.findSeries(figure.key, MOST_HOSTS)));
    const lines = new Map();
    found.forEach((answer, number) => {
      for (const series of answer.series) {
        // Words find other keys, too, and one agent may report for several hosts.
        if (series.key === FIGURES[number].key && !lines.has(`${series.agent} ${number}`)) lines.set(`${series.agent} ${number}`, { series, number });
      }
    });
    const all = [...lines.values()];
    const parts = await Promise.all(api.chunks(all.map(({ series }) => series.id)).map((ids) => api.range(ids, from, to, POINTS)));
    const points = new Map(parts.flatMap((part) => part.series.map((own) => [own.id, { ...own, step: part.step_ms }])));
    this.#order(agents);
    for (const agent of agents) this.#fill(agent, lines, points, from);
  }

  #order(agents) {
    const wanted = new Set(agents.map((agent) => agent.id));
    for (const [id, card] of this.cards) {
      if (!wanted.has(id)) {
        card.element.remove();
        this.cards.delete(id);
      }
    }
    agents.forEach((agent, position) => {
      if (!this.cards.has(agent.id)) this.cards.set(agent.id, card(agent));
      const { element } = this.cards.get(agent.id);
      if (this.place.children[position] !== element) this.place.insertBefore(element, this.place.children[position] ?? null);
    });
  }

  #fill(agent, lines, points, from) {
    const own = this.cards.get(agent.id);
    own.element.href = address.link({ host: agent.id, with: null, wall: false });
    own.element.classList.toggle("silent", agent.state === "silent");
    const state = stateOf(agent);
    Object.assign(own.state, { className: state.className, title: state.title });
    say(own.state, state.textContent);
    say(own.trouble, troubleOf(agent));
    FIGURES.forEach((figure, number) => {
      const found = lines.get(`${agent.id} ${number}`);
      const part = found && points.get(found.series.id);
      const row = own.rows[number];
      row.row.hidden = !part;
      if (!part) return;
      const values = part.mean.map((value) => (value === null ? null : figure.of(value)));
      const isOld = found.series.newest === null || agent.state === "silent" || found.series.newest_ms < from;
      const newest = isOld ? null : figure.of(found.series.newest * unitOf(found.series).factor);
      say(row.value, shown(newest, figure.unit));
      sparkline(row.canvas, values, { most: figure.most, colour: colour(number), wide: Math.ceil((1.5 * part.interval_ms) / part.step) });
    });
  }
}

function card(agent) {
  const state = h("span", {});
  const trouble = h("p", { className: "trouble" });
  const rows = FIGURES.map((figure) => {
    const canvas = h("canvas", { width: 240, height: 34, "aria-hidden": "true" });
    const value = h("output", {}, "-");
    return { row: h("div", { className: "figure" }, h("span", { className: "dim" }, figure.name), canvas, value), canvas, value };
  });
  const element = h("a", { className: "card", "data-agent": String(agent.id) }, h("header", {}, h("h2", {}, foreign(agent.host)), state), trouble, rows.map(({ row }) => row));
  return { element, state, trouble, rows };
}

/** A small chart of values; a gap of more than `wide` points stays one. */
export function sparkline(canvas, values, { most, colour: stroke, wide }) {
  const ratio = devicePixelRatio;
  const width = Math.round((canvas.clientWidth || 120) * ratio);
  const height = Math.round((canvas.clientHeight || 34) * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const ctx = canvas.getContext("2d");
  ctx.clearRect(0, 0, width, height);
  const top = most ?? Math.max(1e-9, ...values.filter((value) => value !== null)) * 1.1;
  const x = (index) => (index / Math.max(1, values.length - 1)) * width;
  const y = (value) => height - ratio - (Math.min(value, top) / top) * (height - 2 * ratio);
  const runs = [];
  let before = -Infinity;
  values.forEach((value, index) => {
    if (value === null) return;
    if (index - before > Math.max(1, wide)) runs.push([]);
    runs.at(-1).push([x(index), y(value)]);
    before = index;
  });
  ctx.lineWidth = 1.5 * ratio;
  ctx.strokeStyle = stroke;
  for (const run of runs) {
    ctx.beginPath();
    run.forEach(([left, high], number) => (number ? ctx.lineTo(left, high) : ctx.moveTo(left, high)));
    if (run.length === 1) ctx.lineTo(run[0][0] + ratio, run[0][1]);
    ctx.stroke();
    ctx.lineTo(run.at(-1)[0], height);
    ctx.lineTo(run[0][0], height);
    ctx.fillStyle = `${stroke}26`;
    ctx.fill();
  }
}
