// What the time axis says of the polls: outages, missed ticks, polls that came late, and silence now. They
// are drawn where they were, and said in words at the crosshair.

import { span } from "./units.js";

const LANE = 5;
const LEAST_LABEL = 70;

/** What is wrong at a time, in words, or an empty text. `marks` is a list of what /range says of each agent. */
export function wrongAt(marks, time) {
  const found = [];
  for (const agent of marks) {
    const of = marks.length > 1 ? `${agent.host}: ` : "";
    for (const gap of agent.gaps) {
      if (time > gap.after_ms && (gap.before_ms === null || time < gap.before_ms)) found.push(of + gapWords(gap));
    }
    for (const late of agent.late) {
      if (time >= late.from_ms && time <= late.to_ms) found.push(`${of}polls that arrived up to ${span(late.lag_ms / 1000)} late`);
    }
  }
  return found.join("; ");
}

function gapWords(gap) {
  if (gap.kind === "missed") return gap.missed === 1 ? "a missed tick" : `${gap.missed} missed ticks`;
  if (gap.kind === "open" || gap.before_ms === null) return "nothing has arrived since";
  return `an outage of ${span((gap.before_ms - gap.after_ms) / 1000)}: ${gap.missed} polls are missing`;
}

/** What is wrong between two times, newest first: the words, and where it is. */
export function eventsOf(marks, from, to) {
  const found = [];
  for (const agent of marks) {
    const of = marks.length > 1 ? `${agent.host}: ` : "";
    for (const gap of agent.gaps) {
      if (gap.after_ms < to && (gap.before_ms ?? Infinity) > from) found.push({ words: of + gapWords(gap), kind: gap.kind, from: gap.after_ms, to: gap.before_ms ?? to });
    }
    for (const late of agent.late) {
      if (late.from_ms < to && late.to_ms > from) found.push({ words: `${of}${late.polls} ${late.polls === 1 ? "poll" : "polls"} up to ${span(late.lag_ms / 1000)} late`, kind: "late", from: late.from_ms, to: late.to_ms });
    }
  }
  return found.sort((one, other) => other.from - one.from);
}

/** Draw them on a chart: outages below its lines, and above them the lane with the others. */
export function drawMarks(plot, marks, colours, { isAbove }) {
  const { ctx, bbox } = plot;
  const [from, to] = [plot.scales.x.min, plot.scales.x.max];
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  marks.forEach((agent, lane) => {
    const place = { plot, ctx, ratio, colours, bottom: bbox.top + bbox.height - lane * (LANE + 2) * ratio };
    for (const late of isAbove ? agent.late : []) {
      if (late.to_ms >= from && late.from_ms <= to) drawLate(place, late);
    }
    for (const gap of agent.gaps) {
      const end = gap.before_ms ?? to;
      if (end < from || gap.after_ms > to) continue;
      if (gap.kind === "missed" && isAbove) drawMissed(place, gap);
      else if (gap.kind !== "missed" && !isAbove) drawOutage(place, gap.after_ms, end, marks.length > 1 ? agent.host : "");
    }
  });
  ctx.restore();
}

const at = ({ plot }, time) => plot.valToPos(time, "x", true);

function drawMissed(place, gap) {
  const { ctx, ratio, colours, bottom } = place;
  const left = at(place, gap.after_ms);
  const width = Math.max(2 * ratio, at(place, gap.before_ms) - left);
  ctx.fillStyle = colours.missed;
  ctx.fillRect(left, bottom - LANE * ratio, width, LANE * ratio);
}

function drawLate(place, late) {
  const { ctx, ratio, colours, bottom } = place;
  const left = at(place, late.from_ms);
  const width = Math.max(3 * ratio, at(place, late.to_ms) - left);
  ctx.fillStyle = colours.late;
  ctx.globalAlpha = 0.3;
  ctx.fillRect(left, bottom - LANE * ratio, width, LANE * ratio);
  ctx.globalAlpha = 1;
  hatch(ctx, left, bottom - LANE * ratio, width, LANE * ratio, 4 * ratio, colours.late, 1.5 * ratio);
}

function drawOutage(place, from, to, host) {
  const { plot, ctx, ratio, colours, bottom } = place;
  const left = Math.max(plot.bbox.left - 2, at(place, from));
  const right = Math.min(plot.bbox.left + plot.bbox.width + 2, at(place, to));
  const width = Math.max(2 * ratio, right - left);
  ctx.fillStyle = colours.outage;
  ctx.globalAlpha = 0.07;
  ctx.fillRect(left, plot.bbox.top, width, plot.bbox.height);
  ctx.globalAlpha = 0.35;
  hatch(ctx, left, plot.bbox.top, width, plot.bbox.height, 9 * ratio, colours.outage, ratio);
  ctx.globalAlpha = 1;
  ctx.fillRect(left, bottom - LANE * ratio, width, LANE * ratio);
  if (width < LEAST_LABEL * ratio) return;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  const words = `no polls${host ? `: ${host.slice(0, 40)}` : ""}`;
  ctx.fillText(words, left + width / 2, plot.bbox.top + 4 * ratio, width);
}

function hatch(ctx, left, top, width, height, distance, colour, line) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = line;
  ctx.beginPath();
  // Lines of one grid on the whole canvas, so that they do not crawl as the chart moves by a part of it.
  const first = Math.floor((left - height) / distance) * distance;
  for (let x = first; x < left + width; x += distance) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}
