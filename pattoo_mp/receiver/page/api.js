// The queries of the receiver (openapi.json), its clock, and whether it answers.

const PREFIX = "/api/v1";
const TIME_LIMIT_MS = 15000;
const MOST_IDS = 64;

/** Is called with whether the receiver answers, and since when it does not. */
let onContact = () => {};
let awaySince = null;
let offset = 0;
let offsetError = Infinity;

export const watchContact = (listener) => { onContact = listener; };
export const isAway = () => awaySince !== null;

/** The receiver's time in ms: pages are also read on hosts whose clocks are wrong. */
export const now = () => Date.now() + offset;

/** An answer other than 200: the receiver says why in one line. */
export class Refusal extends Error {
  constructor(status, reason) {
    super(reason || `status ${status}`);
    this.status = status;
  }
}

/** Ask the receiver. Throws `Refusal` for an answer that is none, and another error if there is no answer. */
export async function ask(path, parameters = {}) {
  const url = new URL(PREFIX + path, location.origin);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null) url.searchParams.set(name, value);
  }
  const begun = performance.now();
  let answer;
  let document_;
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(TIME_LIMIT_MS), headers: { Accept: "application/json" } });
    // A proxy answers for a receiver that is away.
    if (answer.status >= 502 && answer.status <= 504) throw new Error(`status ${answer.status}`);
    document_ = answer.ok ? await answer.json() : (await answer.text()).slice(0, 300);
  } catch (error) {
    if (awaySince === null) {
      awaySince = Date.now();
      onContact(awaySince);
    }
    throw error;
  }
  if (awaySince !== null) {
    awaySince = null;
    onContact(null);
  }
  if (answer.status === 401) {
    sessionStorage.setItem("shown", location.hash); // a login leads to the page without it
    location.assign("/login");
    throw new Refusal(401, "log in first");
  }
  if (!answer.ok) throw new Refusal(answer.status, document_);
  setClock(document_.now_ms, performance.now() - begun);
  return document_;
}

function setClock(nowMs, took) {
  // The answer that took least tells the time best; a clock that was set tells another one.
  if (!nowMs) return;
  const measured = nowMs + took / 2 - Date.now();
  if (took <= offsetError || Math.abs(measured - offset) > took + offsetError + 1000) {
    offset = measured;
    offsetError = took;
  } else offsetError += 1;
}

export const agents = async () => (await ask("/agents")).agents;
export const health = () => ask("/health");
export const findSeries = (words, limit, agent = null) => ask("/series", { words, limit, agent });
export const range = (ids, from, to, points) => ask("/range", {
  series: ids.join(","), from: Math.floor(from), to: to === null ? null : Math.ceil(to), points: Math.max(1, Math.min(5000, Math.round(points))),
});

/** The newest values of any number of series: the answers, and the cursors for the next time. */
export async function newest(ids, cursors = []) {
  const parts = chunks(ids);
  const answers = await Promise.all(parts.map((part, number) => ask("/newest", { series: part.join(","), since: cursors[number] })));
  return {
    polls: answers.flatMap((answer) => answer.polls),
    cursors: answers.map((answer) => answer.cursor),
    behind: answers.some((answer) => answer.behind),
  };
}

/** All series of an agent. */
export async function seriesOf(agent) {
  const found = [];
  for (;;) {
    const answer = await ask("/series", { agent, limit: 5000, offset: found.length });
    found.push(...answer.series);
    if (!answer.series.length || found.length >= answer.total) return found.filter((series) => series.kind !== "text");
  }
}

/** Series that were asked for by their ids; those that have gone are left out. */
export async function seriesById(ids) {
  if (!ids.length) return [];
  const everything = await Promise.all((await agents()).map((agent) => seriesOf(agent.id)));
  const byId = new Map(everything.flat().map((series) => [series.id, series]));
  return ids.map((id) => byId.get(id)).filter(Boolean);
}

export function chunks(ids) {
  const parts = [];
  for (let begin = 0; begin < ids.length; begin += MOST_IDS) parts.push(ids.slice(begin, begin + MOST_IDS));
  return parts;
}
