// The charts of a view, kept up to date: their ranges at first, then each poll as it arrives.
//
// Polls arrive in posts, a second or two apart, whatever their interval. So that charts move evenly, their right
// edge is behind the clock by as much as polls usually are, and the view moves with the clock.

import * as api from "./api.js";

const ASK_MS = 500;
const AGAIN_MS = 2000;
const SETTLE_MS = 1500;
/** A second. */
const MOST_FRAMES = 30;
const LATEST_MS = 6000;

export class Feed {
  /** `state()` is what is shown: span and to. `moved(from, to)` is called after each frame. */
  constructor(state, moved) {
    this.state = state;
    this.moved = moved;
    this.charts = [];
    this.cursors = null;
    this.lag = 1500;
    this.edge = null;
    this.newestTime = 0;
    this.seen = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: "200px" });
    this.generation = 0;
    this.lastFrame = 0;
    // A page that is not seen asks for nothing.
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.isLive) this.reload(); });
    requestAnimationFrame(() => this.#frame());
    this.#follow();
  }

  /** Show these charts, which are in the document, and no others. */
  show(charts) {
    for (const chart of this.charts) {
      if (!charts.includes(chart)) chart.destroy();
    }
    this.seen.disconnect();
    this.charts = charts;
    for (const chart of charts) {
      chart.isVisible = false;
      this.seen.observe(chart.element);
    }
    this.reload();
  }

  /** Ask for all ranges anew: another time is shown, or something was filled in. */
  reload() {
    this.generation += 1;
    this.cursors = null;
    for (const chart of this.charts) chart.isStale = true;
    clearTimeout(this.settling);
    this.settling = null;
    this.#load();
  }

  /** Ask for all ranges anew in a moment, once: the receiver notes gaps and late polls as they come. */
  settle() {
    this.settling ??= setTimeout(() => this.reload(), SETTLE_MS);
  }

  get isLive() { return this.state().to === null; }

  /** The time that is shown, in ms. */
  window() {
    const { span, to } = this.state();
    const end = to ?? this.#liveEdge();
    return [end - span, end];
  }

  #liveEdge() {
    // What the receiver has not said for lack of contact is not known: the view stands still.
    if (!api.isAway() || this.edge === null) {
      const edge = api.now() - this.lag;
      this.edge = this.edge === null || Math.abs(edge - this.edge) > 5000 ? edge : Math.max(this.edge, edge);
    }
    return this.edge;
  }

  #see(entries) {
    for (const entry of entries) {
      const chart = this.charts.find((candidate) => candidate.element === entry.target);
      if (chart) chart.isVisible = entry.isIntersecting;
    }
    this.#load();
  }

  async #load() {
    const { generation } = this;
    const wanted = this.charts.filter((chart) => chart.isVisible && chart.isStale && chart.ids.length);
    if (!wanted.length) return;
    for (const chart of wanted) chart.isStale = false;
    try {
      const ids = [...new Set(wanted.flatMap((chart) => chart.ids))];
      // First what each series has last, then the range up to there: nothing is counted twice, or left out.
      const first = await api.newest(ids);
      const last = new Map();
      let end = 0;
      for (const poll of first.polls) {
        poll.series.forEach((id, index) => last.set(id, { time: poll.time_ms, value: poll.values[index] }));
        end = Math.max(end, poll.time_ms + 1);
      }
      this.newestTime = Math.max(this.newestTime, end - 1);
      const [from, to] = this.window();
      const margin = (to - from) / 20;
      const upTo = this.isLive ? Math.max(end, to) : to;
      await Promise.all(wanted.map((chart) => chart.load(from - margin, upTo, last)));
      if (generation !== this.generation) return;
      for (const chart of wanted) chart.since = first.cursors;
      this.lastFrame = 0;
    } catch {
      for (const chart of wanted) chart.isStale = true;
      setTimeout(() => generation === this.generation && this.#load(), AGAIN_MS);
    }
  }

  async #follow() {
    for (;;) {
      const begun = performance.now();
      let wait = this.#askEvery();
      try {
        if (this.isLive && !document.hidden) await this.#ask();
      } catch {
        wait = AGAIN_MS;
      }
      await new Promise((resolve) => { setTimeout(resolve, Math.max(50, wait - (performance.now() - begun))); });
    }
  }

  #askEvery() {
    return Math.min(5000, Math.max(ASK_MS, this.state().span / 1500));
  }

  async #ask() {
    const { generation } = this;
    const charts = this.charts.filter((chart) => chart.isVisible && chart.columns && chart.since);
    const wasAway = api.isAway();
    if (!charts.length) {
      if (wasAway) await api.health();
      if (wasAway) this.reload();
      return;
    }
    // Charts that were loaded together have the same cursors; they are asked for together.
    const groups = Map.groupBy ? Map.groupBy(charts, (chart) => chart.since) : groupBy(charts);
    for (const [since, members] of groups) {
      const ids = [...new Set(members.flatMap((chart) => chart.ids))];
      const oldest = Math.min(...since);
      const answer = await api.newest(ids, api.chunks(ids).map(() => oldest));
      if (generation !== this.generation) return;
      if (answer.behind || wasAway) {
        this.reload();
        return;
      }
      const next = answer.cursors;
      for (const chart of members) chart.since = next;
      if (answer.polls.length) this.#take(members, answer.polls);
    }
  }

  #take(charts, polls) {
    const times = polls.map((poll) => poll.time_ms);
    const before = this.newestTime;
    this.newestTime = Math.max(before, ...times);
    // How far behind the clock the newest poll was just before these: so much the edge has to be behind.
    if (before && polls.length) {
      const behind = Math.min(api.now() - before, Math.min(LATEST_MS, this.state().span / 10));
      this.lag = behind > this.lag ? behind : this.lag * 0.98 + behind * 0.02;
    }
    const late = polls.some((poll) => poll.lag_ms > 5000);
    const odd = charts.map((chart) => chart.put(polls)).some(Boolean);
    if (odd || late) this.settle();
  }

  #frame() {
    requestAnimationFrame(() => this.#frame());
    const [from, to] = this.window();
    const now = performance.now();
    // No more often than something can be seen to move: half a pixel.
    const width = this.charts.find((chart) => chart.isVisible)?.width ?? 400;
    const due = Math.max(1000 / MOST_FRAMES, this.isLive ? Math.min(1000, (to - from) / width / 2) : 250);
    if (now - this.lastFrame < due - 4) return;
    this.lastFrame = now;
    for (const chart of this.charts) {
      if (chart.isVisible) chart.frame(from, to);
    }
    this.moved(from, to);
  }
}

function groupBy(charts) {
  const groups = new Map();
  for (const chart of charts) groups.set(chart.since, [...(groups.get(chart.since) ?? []), chart]);
  return groups;
}
