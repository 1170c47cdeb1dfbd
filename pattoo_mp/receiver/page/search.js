// Every series, found by typing, and put on a chart of one's own with Enter or a click.

import * as address from "./address.js";
import * as api from "./api.js";
import { foreign, h, say } from "./dom.js";
import { deviceOf } from "./overview.js";
import { shown, unitOf, words } from "./units.js";

const MOST = 60;
const PAUSE_MS = 120;

export class Search {
  /** `host()` is the agent whose figures come first, or null. */
  constructor(host) {
    this.host = host;
    this.found = [];
    this.chosen = 0;
    this.input = h("input", {
      type: "search", id: "find", autocomplete: "off", spellcheck: false, maxLength: 200, placeholder: "disk read, eth0, temperature …",
      role: "combobox", "aria-expanded": "true", "aria-controls": "found", "aria-autocomplete": "list",
      oninput: () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.#ask(), PAUSE_MS); }, onkeydown: (event) => this.#key(event),
    });
    this.list = h("ul", {
      id: "found", role: "listbox", "aria-label": "Series", onmousedown: (event) => event.preventDefault(), // typing goes on
    });
    this.count = h("p", { className: "dim", role: "status" });
    this.dialog = h("dialog", { className: "search", "aria-label": "Find a series", onclick: (event) => event.target === this.dialog && this.dialog.close() },
      h("label", { for: "find" }, "Find a figure by words of its name, its device or its host"), this.input, this.list, this.count,
      h("p", { className: "dim keys" }, "↑ ↓ choose · Enter puts it on a chart, or takes it off · Esc closes"));
    document.body.append(this.dialog);
  }

  open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.input.select();
    this.#ask();
  }

  async #ask() {
    const asked = this.input.value.trim();
    try {
      // Those of the host that is shown come first.
      const host = this.host();
      const [first, answer] = await Promise.all([host === null ? { series: [] } : api.findSeries(asked, MOST, host), api.findSeries(asked, MOST)]);
      if (asked !== this.input.value.trim()) return;
      const all = new Map([...first.series, ...answer.series].map((series) => [series.id, series]));
      this.found = [...all.values()].filter((series) => series.kind !== "text").slice(0, MOST);
      this.chosen = 0;
      say(this.count, answer.total ? `${answer.total} series${answer.total > this.found.length ? `, the first ${this.found.length} are shown` : ""}` : "No series has all of these words.");
    } catch (error) {
      this.found = [];
      say(this.count, error instanceof api.Refusal ? error.message : "The receiver does not answer.");
    }
    this.#show();
  }

  #show() {
    const drawn = new Set(address.shown().charts.flat());
    this.list.replaceChildren(...this.found.map((series, number) => this.#row(series, number, drawn.has(series.id))));
    this.#mark();
  }

  #row(series, number, isDrawn) {
    const { unit, factor } = unitOf(series);
    const value = series.kind === "counter" ? "" : shown(series.newest === null ? null : series.newest * factor, unit);
    return h("li", {
      id: `found-${number}`, role: "option", "aria-selected": "false", onclick: () => { this.chosen = number; this.#put(); },
    }, h("b", {}, isDrawn ? "✓" : ""), h("span", { className: "title" }, foreign(words(series.key).title)), h("output", {}, value),
    h("span", { className: "of" }, deviceOf(series) && foreign(deviceOf(series), { className: "device" }), foreign(series.host), h("code", {}, foreign(series.key))));
  }

  #mark() {
    [...this.list.children].forEach((row, number) => row.setAttribute("aria-selected", String(number === this.chosen)));
    const row = this.list.children[this.chosen];
    this.input.setAttribute("aria-activedescendant", row?.id ?? "");
    row?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (step) {
      this.chosen = Math.max(0, Math.min(this.found.length - 1, this.chosen + step));
      this.#mark();
    } else if (event.key === "Enter") this.#put();
    else if (event.key === "Escape") this.dialog.close(); // the browser would empty the field first
    else return;
    event.preventDefault();
  }

  #put() {
    const series = this.found[this.chosen];
    if (!series) return;
    toggle(series, this.#unitOfChart());
    this.#show();
  }

  /** A function that says the unit of a chart of one's own by the series in it, as far as they are known. */
  #unitOfChart() {
    return (ids) => this.units?.get(ids[0]) ?? null;
  }
}

/** Put a series on a chart: on the last one of its unit, or one of its own. If it is on one, take it off. */
export function toggle(series, unitOfChart) {
  const charts = address.shown().charts.map((chart) => chart.slice());
  if (charts.flat().includes(series.id)) {
    address.show({ charts: charts.map((chart) => chart.filter((id) => id !== series.id)).filter((chart) => chart.length) });
    return;
  }
  const { unit } = unitOf(series);
  const same = charts.findLast((chart) => unitOfChart(chart) === unit && chart.length < 10);
  if (same) same.push(series.id);
  else charts.push([series.id]);
  address.show({ charts });
}
