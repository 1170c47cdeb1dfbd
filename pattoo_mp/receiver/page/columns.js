// The values of one chart: points of equal width, as /range gives them, and each new poll put into its point.
//
// Where values are missing there is nothing to draw a line through. uPlot breaks a line at null, and goes on
// over undefined: so a point without a value is null where a poll is missing, and undefined where the series is
// just polled less often than points are wide.

const GAP = 1.5;

export class Columns {
  /** `lines` are the series as drawn: id, kind, factor, sign. `answer` is that of /range; `newest` what each had last. */
  constructor(lines, answer, newest) {
    this.step = answer.step_ms;
    this.start = answer.times[0] ?? answer.from_ms;
    this.length = answer.times.length;
    this.resolution = answer.resolution;
    this.parts = lines.map((line, index) => {
      const points = answer.series[index];
      const own = points.kind === "counter" ? points.rate : points.mean;
      return {
        line,
        interval: points.interval_ms,
        values: own.slice(),
        low: points.kind === "counter" ? null : points.min.slice(),
        high: points.kind === "counter" ? null : points.max.slice(),
        count: points.count.slice(),
        last: newest.get(line.id) ?? null,
      };
    });
    this.byId = new Map();
    for (const part of this.parts) this.byId.set(part.line.id, [...(this.byId.get(part.line.id) ?? []), part]);
  }

  get isCoarse() { return this.parts.some((part) => this.step > part.interval * 1.01); }

  /** Put a value into its point. Returns whether the poll before it is missing. */
  put(id, time, value) {
    let isAfterGap = false;
    for (const part of this.byId.get(id) ?? []) {
      const before = part.last;
      if (before && time <= before.time) continue;
      part.last = { time, value };
      isAfterGap ||= before !== null && time - before.time > part.interval * GAP;
      let own = value;
      if (part.line.kind === "counter") {
        // As the receiver does: a counter that stepped back began anew from zero.
        if (!before) continue;
        own = ((value < before.value ? value : value - before.value) * 1000) / (time - before.time);
      }
      const index = Math.floor((time - this.start) / this.step);
      if (index < 0) continue;
      this.#lengthen(index + 1);
      const count = part.count[index];
      part.values[index] = count && part.values[index] !== null ? (part.values[index] * count + own) / (count + 1) : own;
      part.count[index] = count + 1;
      if (part.low) {
        part.low[index] = Math.min(part.low[index] ?? own, own);
        part.high[index] = Math.max(part.high[index] ?? own, own);
      }
    }
    return isAfterGap;
  }

  #lengthen(length) {
    for (; this.length < length; this.length += 1) {
      for (const part of this.parts) {
        part.values.push(null);
        part.count.push(0);
        part.low?.push(null);
        part.high?.push(null);
      }
    }
  }

  /** Forget points before a time, once there are many. */
  forget(before) {
    const extra = Math.floor((before - this.start) / this.step);
    if (extra < this.length / 4) return;
    for (const part of this.parts) {
      for (const list of [part.values, part.count, part.low, part.high]) list?.splice(0, extra);
    }
    this.start += extra * this.step;
    this.length -= extra;
  }

  /** What uPlot draws: the times, the values of each line, then the bounds of each that has some. */
  table({ isStacked, bounds }) {
    const middle = this.isCoarse ? this.step / 2 : 0;
    const times = Array.from({ length: this.length }, (_, index) => this.start + index * this.step + middle);
    let drawn = this.parts.map((part) => this.#drawn(part, part.values));
    if (isStacked) drawn = stacked(drawn);
    const limits = bounds.flatMap((index) => [
      this.#drawn(this.parts[index], this.parts[index].high),
      this.#drawn(this.parts[index], this.parts[index].low),
    ]);
    return [times, ...drawn, ...limits];
  }

  /** The value of a line at or just before a time; null in a gap, or if it is older than so much. */
  at(index, time, oldest = 0) {
    const part = this.parts[index];
    const wide = Math.max(oldest, GAP * Math.max(this.step, part.interval));
    for (let at = Math.min(this.length - 1, Math.floor((time - this.start) / this.step)); at >= 0; at -= 1) {
      if (time - (this.start + at * this.step) > wide + this.step) return null;
      if (part.values[at] !== null) return part.values[at] * part.line.factor + part.line.offset;
    }
    return null;
  }

  #drawn(part, values) {
    const { factor, offset, sign } = part.line;
    const most = Math.round((GAP * Math.max(this.step, part.interval)) / this.step);
    const found = new Array(values.length).fill(null);
    let before = -Infinity;
    for (let index = 0; index < values.length; index += 1) {
      if (values[index] === null) continue;
      found[index] = (values[index] * factor + offset) * sign;
      if (index - before <= most) found.fill(undefined, before + 1, index);
      before = index;
    }
    return found;
  }
}

function stacked(drawn) {
  const sums = [];
  for (const values of drawn) {
    const below = sums.at(-1);
    sums.push(below ? values.map((value, index) => (typeof value === "number" && typeof below[index] === "number" ? value + below[index] : value === undefined ? undefined : null)) : values.slice());
  }
  return sums;
}
