// What a figure is: its unit and its words, from the same tables as the documentation (figures.json), and
// how a value of it is shown to a person.

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const BITS = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
const SHORT = ["", "k", "M", "G", "T", "P"];
// A counter of time grows by a share of the time: in percent.
const SHARES = { seconds: 100, milliseconds: 0.1, microseconds: 0.0001 };
const SPANS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

let known = {};

/** Load the table. Without it, figures are shown by their keys. */
export async function loadFigures() {
  const answer = await fetch("/page/figures.json");
  if (answer.ok) known = await answer.json();
}

function entry(key) {
  return Object.hasOwn(known, key) ? known[key] : null;
}

/** The words for a series: its title, the title of its family, and what it means. */
export function words(key) {
  const found = entry(key);
  return found
    ? { title: found.title, family: found.family, meaning: found.meaning, source: found.source }
    : { title: key, family: "Other figures", meaning: "", source: "" };
}

/** How a series is drawn: `factor` times its value, or its rate, is in `unit`. */
export function unitOf(series) {
  const unit = entry(series.key)?.unit ?? "";
  const isCounter = series.kind === "counter";
  if (unit === "bytes" || unit === "kibibytes") {
    const factor = unit === "bytes" ? 1 : 1024;
    if (!isCounter) return { unit: "bytes", factor };
    return series.key.startsWith("network_") ? { unit: "bit/s", factor: 8 * factor } : { unit: "bytes/s", factor };
  }
  if (isCounter && unit in SHARES) return { unit: "percent", factor: SHARES[unit] };
  if (isCounter) return { unit: unit ? `${unit}/s` : "/s", factor: 1 };
  return { unit, factor: 1 };
}

function scaled(value, base, units, unitFor = (unit) => unit) {
  let size = Math.abs(value);
  let power = 0;
  while (size >= base * 0.9995 && power < units.length - 1) {
    size /= base;
    power += 1;
  }
  return `${digits(size)} ${unitFor(units[power])}`.trim();
}

function digits(size) {
  if (size === 0) return "0";
  if (size >= 99.95) return size.toFixed(0);
  if (size >= 9.995) return size.toFixed(1);
  if (size >= 0.0995) return size.toFixed(2);
  return String(Number(size.toPrecision(2)));
}

/** A length of time, in seconds, with its two largest units. */
export function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  let rest = Math.round(seconds);
  const parts = [];
  for (const [unit, length] of SPANS) {
    if (rest >= length && parts.length < 2) {
      parts.push(`${Math.floor(rest / length)} ${unit}`);
      rest %= length;
    } else if (parts.length) break;
  }
  return parts.join(" ") || "0 s";
}

/** A value with its unit, in few digits. What is drawn below the axis is shown without its sign. */
export function shown(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  switch (unit) {
    case "bytes": return scaled(value, 1024, BINARY);
    case "bytes/s": return scaled(value, 1024, BINARY, (size) => `${size}/s`);
    case "bit/s": return scaled(value, 1000, BITS);
    case "percent": return `${Math.abs(value).toFixed(Math.abs(value) < 99.95 ? 1 : 0)} %`;
    case "degrees Celsius": return `${value.toFixed(1)} °C`;
    case "seconds": return span(value);
    case "yes or no": return value === 1 ? "yes" : value === 0 ? "no" : digits(value);
    case "megabits per second": return `${digits(value)} Mbit/s`;
    case "MHz": return `${value.toFixed(0)} MHz`;
    default: {
      const sign = value < 0 && !unit.endsWith("/s") ? "−" : "";
      const short = scaled(value, 1000, SHORT);
      return `${sign}${short}${/[kMGTP]$/.test(short) || !unit ? "" : " "}${unit && /[kMGTP]$/.test(short) ? " " : ""}${unit}`.trim();
    }
  }
}

/** A value beside the name of its line: without a word that stands beside the title. */
export function inLegend(value, unit) {
  const hasOwn = ["bytes", "bytes/s", "bit/s", "percent", "degrees Celsius", "seconds", "yes or no", "megabits per second", "MHz"].includes(unit);
  return shown(value, hasOwn ? unit : unit.endsWith("/s") ? "/s" : "").replace(/\/s$/, hasOwn ? "/s" : "").trim();
}

/** A value for the axis: as `shown`, without words that the chart's heading has already. */
export function tick(value, unit) {
  if (unit === "percent") return `${Math.abs(value) >= 10 || value === 0 ? Math.abs(value).toFixed(0) : Number(Math.abs(value).toPrecision(2))} %`;
  if (["bytes", "bytes/s", "bit/s", "seconds", "degrees Celsius", "megabits per second"].includes(unit)) {
    return shown(value, unit).replace(/\.0+(?= )/, "").replace(/(\.\d*?)0+(?= )/, "$1");
  }
  const short = scaled(value, 1000, SHORT).replace(/(\.\d*?)0+(?=$| )/, "$1").replace(/\.(?=$| )/, "");
  return value < 0 && !unit.endsWith("/s") ? `−${short}` : short;
}

/** What stands beside a chart's title, where the values on the axis have no unit. */
export function heading(unit) {
  return { percent: "%", bytes: "", "bytes/s": "", "bit/s": "", seconds: "", "yes or no": "1: yes, 0: no", "degrees Celsius": "°C" }[unit] ?? unit;
}
