// How much time is shown, and up to when: ranges, pause, earlier and later, and a range of one's own.

import * as address from "./address.js";
import * as api from "./api.js";
import { h, say } from "./dom.js";
import { DAY, HOUR, local, MINUTE } from "./time.js";
import { span as spanWords } from "./units.js";

const SPANS = [
  [MINUTE, "1 min"], [5 * MINUTE, "5 min"], [15 * MINUTE, "15 min"], [HOUR, "1 h"], [6 * HOUR, "6 h"], [DAY, "24 h"],
  [7 * DAY, "7 d"], [30 * DAY, "30 d"], [90 * DAY, "90 d"], [365 * DAY, "1 y"], [730 * DAY, "2 y"],
];

export class TimeBar {
  /** `edge()` is the newest moment that is shown now. */
  constructor(place, edge, onFind, onHelp) {
    this.edge = edge;
    this.longest = 730 * DAY;
    this.spans = h("select", { id: "span", "aria-label": "How much time is shown", onchange: () => this.choose(Number(this.spans.value)) });
    this.pause = h("button", { type: "button", id: "pause", "aria-pressed": "false", title: "Space", onclick: () => this.toggle() }, "Pause");
    this.from = h("input", { type: "datetime-local", step: 1, id: "from" });
    this.to = h("input", { type: "datetime-local", step: 1, id: "to" });
    const own = h("details", { className: "range", ontoggle: () => own.open && this.#fill() }, h("summary", { title: "From … to …" }, "From, to"),
      h("form", { onsubmit: (event) => { event.preventDefault(); if (this.#own()) own.open = false; } },
        h("label", {}, "from ", this.from), h("label", {}, "to ", this.to), this.problem = h("span", { className: "trouble", role: "alert" }), h("button", {}, "Show")));
    place.append(
      h("button", { type: "button", id: "search", onclick: onFind, title: "/" }, "Find a figure"),
      h("button", { type: "button", onclick: () => this.move(-0.5), title: "Earlier (←)", "aria-label": "Earlier" }, "‹"),
      this.spans,
      h("button", { type: "button", onclick: () => this.move(0.5), title: "Later (→)", "aria-label": "Later" }, "›"),
      h("button", { type: "button", onclick: () => this.zoom(2), title: "More time (−)", "aria-label": "More time" }, "−"),
      h("button", { type: "button", onclick: () => this.zoom(0.5), title: "Less time (+)", "aria-label": "Less time" }, "+"),
      own, this.pause,
      h("button", { type: "button", onclick: onHelp, title: "Keys (?)", "aria-label": "Keys" }, "?"),
    );
    this.show();
  }

  /** Show what suits agents of this interval (ms), where the address says nothing: sixty polls or more. */
  suit(interval) {
    const [span] = SPANS.find(([length]) => length >= Math.max(5 * MINUTE, 60 * interval)) ?? SPANS.at(-1);
    address.setUsual(span);
    this.show();
  }

  /** Offer ranges up to the receiver's retention. */
  offer(longestMs) {
    this.longest = longestMs;
    this.show();
  }

  /** Show what the address says. */
  show() {
    const { span, to } = address.shown();
    const offered = SPANS.filter(([length]) => length <= this.longest);
    const isUsual = offered.some(([length]) => length === span);
    this.spans.replaceChildren(
      ...offered.map(([length, name]) => h("option", { value: String(length) }, name)),
      ...(isUsual ? [] : [h("option", { value: String(span) }, spanWords(span / 1000))]),
    );
    this.spans.value = String(span);
    say(this.pause, to === null ? "Pause" : "Live");
    this.pause.setAttribute("aria-pressed", String(to !== null));
    this.pause.classList.toggle("on", to !== null);
  }

  choose(span) { address.show({ span }); }

  toggle() { address.show({ to: address.shown().to === null ? this.edge() : null }); }

  /** Twice or half as much time, around the middle; with live charts, up to now. */
  zoom(factor, { isStep = true } = {}) {
    const { span, to } = address.shown();
    const next = Math.max(2000, Math.min(this.longest, span * factor));
    this.#show(next, to === null ? null : to + (next - span) / 2, isStep);
  }

  /** Earlier or later, by a part of what is shown. */
  move(part) {
    const { span, to } = address.shown();
    this.#show(span, (to ?? this.edge()) + part * span, true);
  }

  #show(span, to, isStep) {
    address.show({ span, to: to !== null && to < this.edge() - span / 50 ? to : to === null || to >= api.now() - 1000 ? null : to }, { isStep });
  }

  #fill() {
    const { span, to } = address.shown();
    const end = to ?? this.edge();
    this.from.value = local(end - span);
    this.to.value = local(end);
    say(this.problem, "");
  }

  #own() {
    const [from, to] = [Date.parse(this.from.value), Date.parse(this.to.value)];
    if (!(from < to)) {
      say(this.problem, "The start has to be before the end.");
      return false;
    }
    address.show({ span: to - from, to });
    return true;
  }
}
