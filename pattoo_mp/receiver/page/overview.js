// Which series of a host are drawn in which chart: first what a person looks for, then every family.

import { shown, unitOf, words } from "./units.js";

const MOST_LINES = 12;

/** A line of a chart: the end of the key, and its name. */
const share = (name) => [`cpu_times_percent_${name}`, name];

const OVERVIEW = [
  { id: "processor", title: "Processor", keys: ["user", "nice", "system", "iowait", "irq", "softirq", "steal"].map(share), compared: [["cpu_times_percent_idle", "busy", { factor: -1, offset: 100 }]], isStacked: true, most: 100 },
  { id: "load", title: "Load", keys: [["load_average_01min", "1 min"], ["load_average_05min", "5 min"], ["load_average_15min", "15 min"]], unit: "" },
  { id: "memory", title: "Memory", keys: [["memory_used", "used"], ["memory_cached", "cached"]], limit: "memory_total", isFilled: true },
  { id: "swap", title: "Swap", keys: [["swap_memory_used", "used"]], limit: "swap_memory_total" },
  { id: "pressure", title: "Pressure", keys: [["pressure_cpu_some_avg10", "processor"], ["pressure_memory_some_avg10", "memory"], ["pressure_io_some_avg10", "disks"]], note: "of the time, tasks waited" },
  { id: "disk-io", title: "Disks", keys: [["disk_io_read_bytes", "read"], ["disk_io_write_bytes", "written"]], isMirrored: true },
  { id: "disk-busy", title: "Disks, busy", keys: [["disk_io_busy_time", "busy"]], least: 100 },
  { id: "network", title: "Network", keys: [["network_io_bytes_recv", "received"], ["network_io_bytes_sent", "sent"]], isMirrored: true },
  { id: "disk-usage", title: "Disk space", keys: [["disk_partition_disk_usage_percent", "used"]], most: 100 },
  { id: "temperatures", title: "Temperatures", keys: [["temperature_current", ""], ["thermal_zone_current", ""]], isFree: true },
  { id: "processes", title: "Processes", keys: [["process_count", "processes"]] },
  { id: "switches", title: "Switches and interrupts", keys: [["cpu_stats_ctx_switches", "context switches"], ["cpu_stats_interrupts", "interrupts"]] },
];

/** Metadata of the host itself, which all its series have. */
const OF_HOST = new Set(["release", "version", "processor", "type", "cpus", "hostname"]);
/** Of several labels of a device, the one that people call it by. */
const CALLED = ["disk_partition_mountpoint", "inodes_mountpoint", "mount_state_mountpoint"];

/** What a series belongs to within its host: `eth0`, `/home`; empty for the host itself. */
export function deviceOf(series) {
  const own = Object.entries(series.metadata).filter(([key]) => !OF_HOST.has(key));
  const called = own.find(([key]) => CALLED.includes(key));
  return called ? called[1] : own.map(([, value]) => value).join(", ");
}

const text = (value) => (value.length > 120 ? `${value.slice(0, 120)}…` : value);

export function line(series, name, number, extra = {}) {
  const { factor } = unitOf(series);
  return {
    id: series.id, agent: series.agent, host: series.host, key: series.key, kind: series.kind, interval: series.interval_ms,
    name: text(name || series.key), factor, offset: 0, sign: 1, colour: number, dash: 0, ...extra,
  };
}

/** The charts of the overview. `beside` are the series of a second host, drawn dashed in the same colours. */
export function overview(catalog, beside = []) {
  return OVERVIEW.map((chart) => overviewChart(chart, catalog, beside)).filter(Boolean);
}

function overviewChart(chart, catalog, beside) {
  const lines = [];
  const units = [];
  const isCompared = beside.length > 0;
  const colours = new Map();
  // Beside another host, a line says more than areas upon each other.
  const keys = (isCompared && chart.compared) || chart.keys;
  const found = [...catalog, ...beside].filter((series) => series.key === keys[0][0]);
  const isOfOne = new Set(found.map(deviceOf)).size < 2;
  [catalog, beside].forEach((host, number) => {
    for (const [position, [key, name, extra]] of keys.entries()) {
      for (const series of host.filter((candidate) => candidate.key === key)) {
        if (series.kind === "counter" && series.newest === 0) continue;
        const device = deviceOf(series);
        const own = chart.isMirrored && !isOfOne ? device : `${key} ${device}`;
        if (!colours.has(own)) colours.set(own, colours.size);
        const label = [device, name].filter(Boolean).join(" ");
        units.push(unitOf(series).unit);
        lines.push(line(series, number ? `${label} · ${series.host}` : label, colours.get(own), {
          dash: number, sign: chart.isMirrored && position === 1 ? -1 : 1, ...extra,
        }));
      }
    }
  });
  if (!lines.length) return null;
  const limits = [...catalog, ...beside].filter((series) => series.key === chart.limit).map((series) => series.newest);
  if (chart.limit && !limits.some((limit) => limit > 0)) return null;
  return {
    id: chart.id, title: chart.title, unit: chart.unit ?? units[0], note: chart.note ?? (chart.limit ? `of ${limits.map((limit) => shown(limit, units[0])).join(", ")}` : ""), meaning: "",
    lines: lines.slice(0, 2 * MOST_LINES), isStacked: Boolean(chart.isStacked) && !isCompared, isFilled: (chart.isFilled || (chart.isMirrored && lines.length <= 4)) && !isCompared, isFree: chart.isFree,
    most: chart.most ?? (chart.limit ? Math.max(...limits) : undefined), hidden: lines.length - 2 * MOST_LINES,
  };
}

/** All series of a host by family: the title of the family, and a function that makes its charts. */
export function families(catalog) {
  const found = new Map();
  for (const series of catalog) {
    const { family } = words(series.key);
    if (!found.has(family)) found.set(family, []);
    found.get(family).push(series);
  }
  return [...found].map(([title, members]) => ({ title, count: members.length, charts: () => chartsOf(title, members) }));
}

/** A chart for each unit of a family; those of devices by figure, so that devices stand beside each other. */
function chartsOf(family, members) {
  const groups = new Map();
  for (const series of members) {
    const { unit } = unitOf(series);
    const device = deviceOf(series);
    const name = device ? `${series.key} ${unit}` : `${unit} ${series.kind}`;
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(series);
  }
  return [...groups].flatMap(([name, group]) => parts(group).map((part, number) => chartOf(`${family} ${name} ${number}`, family, part)));
}

function chartOf(id, family, group) {
  const isOfDevices = new Set(group.map((series) => series.key)).size === 1;
  const { title, meaning } = words(group[0].key);
  return {
    id, title: isOfDevices ? title : family, meaning: isOfDevices ? meaning : "", unit: unitOf(group[0]).unit, isFree: true, note: "",
    lines: group.map((series, number) => line(series, isOfDevices ? deviceOf(series) || title : words(series.key).title, number)),
  };
}

function parts(group) {
  const found = [];
  for (let begin = 0; begin < group.length; begin += MOST_LINES) found.push(group.slice(begin, begin + MOST_LINES));
  return found;
}

/** A chart of one's own, of any series of any hosts. */
export function ownChart(group, number) {
  const hosts = new Set(group.map((series) => series.host));
  const keys = new Set(group.map((series) => series.key));
  const { title, meaning } = words(group[0].key);
  const name = (series) => [keys.size > 1 ? words(series.key).title : "", deviceOf(series), hosts.size > 1 || (keys.size === 1 && !deviceOf(series)) ? series.host : ""].filter(Boolean).join(" · ");
  const place = keys.size === 1 && hosts.size === 1 ? ` · ${group[0].host}` : "";
  return {
    id: `own-${number}`, title: keys.size === 1 ? text(title + place) : text(group.map((series) => words(series.key).title).join(", ")), meaning, isFree: true, note: "",
    unit: unitOf(group[0]).unit, lines: group.map((series, index) => line(series, name(series) || title, index)),
  };
}
