// The wiring: what the address says is shown, kept up to date, and moved by keys.

import * as address from "./address.js";
import * as api from "./api.js";
import { Chart, onTheme } from "./chart.js";
import { foreign, h, say } from "./dom.js";
import { Feed } from "./feed.js";
import { showEvents, showHost } from "./host.js";
import { help, listen } from "./keys.js";
import { overview, ownChart } from "./overview.js";
import { Search, toggle } from "./search.js";
import { moment } from "./time.js";
import { TimeBar } from "./timebar.js";
import { loadFigures, shown, span, unitOf } from "./units.js";
import { Wall } from "./wall.js";

const AGENTS_MS = 3000;
const FIRST_MS = 1000;
const EVENTS_MS = 400;

const $ = (id) => document.getElementById(id);
const main = $("main");
const feed = new Feed(address.shown, moved);
const search = new Search(() => hostShown()?.id ?? null);
const bar = new TimeBar($("time"), () => feed.window()[1], () => search.open(), () => keys.showModal());

let agents = [];
let wall = null;
let view = null;
let charts = [];
let ownCharts = [];
let drawn = 0;
let crosshair = null;
let series = 0;
let told = 0;
let tellHost = () => {};

// What is shown.

function viewed() {
  const { host, wall: isWall } = address.shown();
  if (!agents.length) return "empty";
  if (host !== null) return agents.some((agent) => agent.id === host) ? `host ${host}` : "gone";
  return agents.length === 1 && !isWall ? `host ${agents[0].id}` : "wall";
}

function hostShown() {
  const { host } = address.shown();
  return agents.find((agent) => agent.id === host) ?? (viewed().startsWith("host") ? agents[0] : null);
}

async function draw() {
  drawn += 1;
  const number = drawn;
  view = `${viewed()} ${address.shown().with}`;
  navigate();
  wall = null;
  charts = [];
  tellHost = () => {};
  const agent = hostShown();
  series = agent?.series ?? 0;
  if (viewed() === "empty") main.replaceChildren(empty());
  else if (viewed() === "gone") main.replaceChildren(h("p", { className: "empty" }, "The receiver knows no such host. ", h("a", { href: address.link({ host: null, wall: true }) }, "All hosts")));
  else if (agent) {
    const made = await showHost(main, agents, agent, { make, changed: () => feed.show([...ownCharts, ...charts]) });
    if (number !== drawn) return;
    charts = made.charts;
    tellHost = made.tell;
  } else {
    wall = new Wall(main);
    await wall.refresh(agents, feed.window());
  }
  document.title = agent ? `${agent.host.slice(0, 80)} · pattoo_mp` : "pattoo_mp";
  if (number === drawn) await drawOwn();
}

/** Whether the overview of the host would have other lines: a disk was found, say. */
async function hasNewLines() {
  const agent = hostShown();
  if (wall || !agent || agent.series === series) return false;
  series = agent.series;
  const wanted = overview(await api.seriesOf(agent.id), []).flatMap((plan) => plan.lines.map((line) => line.id));
  const known = new Set(charts.flatMap((chart) => chart.ids));
  return wanted.some((id) => !known.has(id));
}

function make(plan) {
  return new Chart(plan, { select, cursor });
}

/** The charts of one's own, above the others. */
async function drawOwn() {
  const wanted = address.shown().charts;
  const number = drawn;
  const known = new Map((await api.seriesById([...new Set(wanted.flat())])).map((series) => [series.id, series]));
  if (number !== drawn || wanted !== address.shown().charts) return;
  search.units = new Map([...known].map(([id, series]) => [id, unitOf(series).unit]));
  ownCharts = wanted.map((ids) => ids.map((id) => known.get(id)).filter(Boolean)).filter((group) => group.length).map((group, index) => new Chart(ownChart(group, index), {
    select, cursor,
    close: () => address.show({ charts: address.shown().charts.filter((_, other) => other !== index) }),
    remove: group.length > 1 ? (line) => toggle(known.get(line.id), () => null) : null,
  }));
  main.querySelector(".own")?.replaceChildren(...ownCharts.map((chart) => chart.element));
  feed.show([...ownCharts, ...charts]);
}

function empty() {
  const { hostname, port, protocol } = location;
  const where = port || (protocol === "https:" ? "443" : "80");
  return h("div", { className: "empty" },
    h("h1", {}, "No agent has sent anything yet"),
    h("p", {}, "Tell an agent to send its polls here. In its pattoo.yaml:"),
    h("pre", {}, `pattoo_agent_api:\n  ip_address: ${hostname}\n  ip_bind_port: ${where}`),
    h("p", {}, "Then start it, and check what it says:"),
    h("pre", {}, "pattoo_agent_os_autonomousd --check\npattoo_agent_os_autonomousd --start"),
    h("p", { className: "dim" }, "This page shows the first poll as soon as it arrives."));
}

function navigate() {
  const host = hostShown();
  const of = (agent) => h("a", { href: address.link({ host: agent.id, with: null }), "aria-current": agent === host ? "page" : undefined, className: agent.state }, foreign(agent.host));
  $("where").replaceChildren(
    h("a", { className: "brand", href: address.link({ host: null, with: null, wall: true }), "aria-current": host ? undefined : "page" }, h("img", { src: "/page/icon.svg", alt: "", width: 20, height: 20 }), agents.length > 1 ? "Hosts" : "pattoo_mp"),
    ...(agents.length > 1 && agents.length <= 8 ? agents.map(of) : host && agents.length > 1 ? [of(host)] : []));
}

// What changes it.

function select(from, to) { address.show({ span: to - from, to }); }

function cursor(time, wrong) {
  crosshair = { time, wrong, at: performance.now() };
  tell();
}

function moved(from, to) {
  const place = main.querySelector(".events");
  const [first] = charts.filter((chart) => chart.columns);
  if (place && first && performance.now() - told > EVENTS_MS) {
    told = performance.now();
    showEvents(place, first.events(from, to), address.shown().span);
  }
  if (crosshair && !document.querySelector(".chart .plot:hover") && !charts.concat(ownCharts).some((chart) => chart.isLed)) {
    crosshair = null;
    tell();
  }
}

function tell() {
  const place = $("moment");
  if (!crosshair) say(place, "");
  else say(place, `${moment(crosshair.time, address.shown().span)}${crosshair.wrong ? `  —  ${crosshair.wrong}` : ""}`);
  place.classList.toggle("wrong", Boolean(crosshair?.wrong));
}

/** Move the crosshair by a part of what is shown. */
function point(part) {
  const [from, to] = feed.window();
  const time = Math.max(from, Math.min(to, (crosshair?.time ?? to) + part * (to - from)));
  const all = ownCharts.concat(charts).filter((chart) => chart.isVisible);
  for (const chart of all) chart.point(time);
  if (all.length) cursor(time, all.map((chart) => chart.wrong(time)).find(Boolean) ?? "");
}

function unpoint() {
  for (const chart of ownCharts.concat(charts)) chart.point(null);
  crosshair = null;
  tell();
}

function nextHost(step) {
  if (agents.length < 2) return;
  const sorted = agents.toSorted((one, other) => one.id - other.id);
  const at = sorted.findIndex((agent) => agent.id === address.shown().host);
  address.show({ host: sorted[(at + step + sorted.length) % sorted.length].id, with: null });
}

const ACTIONS = {
  "/": ["find a figure, and put it on a chart", () => search.open()],
  " ": ["pause, and live again", () => bar.toggle()],
  "+": ["less time", () => bar.zoom(0.5)],
  "=": ["less time", () => bar.zoom(0.5)],
  "-": ["more time", () => bar.zoom(2)],
  ArrowLeft: ["earlier, later", () => bar.move(-0.25)],
  ArrowRight: ["earlier, later", () => bar.move(0.25)],
  ",": ["move the crosshair", () => point(-0.01)],
  ".": ["move the crosshair", () => point(0.01)],
  Escape: ["take the crosshair away", unpoint],
  n: ["the next host, the one before", () => nextHost(1)],
  p: ["the next host, the one before", () => nextHost(-1)],
  w: ["all hosts", () => address.show({ host: null, with: null, wall: true })],
  "?": ["this list", () => keys.showModal()],
};
const keys = help(ACTIONS, [
  ["outage", "An outage: polls of this time are missing. No line is drawn through it."],
  ["missed", "Missed ticks: a few polls are missing."],
  ["late", "These polls came long after their time. Their values are right."],
]);
listen(ACTIONS);

address.onChange((now, before) => {
  bar.show();
  if (`${viewed()} ${now.with}` !== view) return void guarded(draw);
  navigate();
  if (now.charts.join("~") !== before.charts.join("~")) guarded(drawOwn);
  else if (now.span !== before.span || now.to !== before.to) {
    feed.reload();
    if (wall) guarded(() => wall.refresh(agents, feed.window()));
  }
});

onTheme(() => { for (const chart of ownCharts.concat(charts)) chart.redraw(); });

// Contact with the receiver.

api.watchContact((since) => {
  const banner = $("banner");
  banner.hidden = since === null;
  document.body.classList.toggle("away", since !== null);
  if (since !== null) say($("health"), "");
  if (since !== null) say(banner, `The receiver at ${location.host} has not answered since ${moment(since, Infinity)}. What is shown is from before. This page tries again every two seconds.`);
});

async function guarded(task) {
  try {
    await task();
  } catch (error) {
    if (error instanceof api.Refusal) main.replaceChildren(h("p", { className: "empty" }, `The receiver refuses this: ${error.message}`));
    // Without an answer the banner says so, and all is asked for again.
    else if (!api.isAway()) throw error;
    else view = null;
  }
}

async function watchAgents() {
  for (;;) {
    try {
      if (!document.hidden || !agents.length) await refresh();
    } catch (error) {
      if (!api.isAway() && !(error instanceof api.Refusal)) throw error;
    }
    await new Promise((resolve) => { setTimeout(resolve, agents.length && view ? AGENTS_MS : FIRST_MS); });
  }
}

async function refresh() {
  const health = await api.health();
  say($("health"), `receiver ${health.state === "well" ? "well" : `${health.state}: ${health.reason}`} · ${shown(health.samples_per_second, "samples/s")} · ${shown(health.bytes, "bytes")} of ${shown(health.max_bytes, "bytes")} · up ${span((health.now_ms - health.started_ms) / 1000)} · ${health.version}`);
  $("health").classList.toggle("wrong", health.state !== "well");
  const longest = Math.max(...health.tiers.map((tier) => tier.retention_ms));
  if (longest > 0 && longest !== bar.longest) bar.offer(longest);
  agents = await api.agents();
  if (agents.length && !view) bar.suit(Math.min(...agents.map((agent) => agent.interval_ms)));
  if (!view || `${viewed()} ${address.shown().with}` !== view || (await hasNewLines())) await guarded(draw);
  else if (wall) await guarded(() => wall.refresh(agents, feed.window()));
  else if (hostShown()) tellHost(hostShown());
  navigate();
}

await loadFigures();
watchAgents();
