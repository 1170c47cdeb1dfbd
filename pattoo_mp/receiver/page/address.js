// What is shown is in the address, so that it can be sent to a colleague and kept as a bookmark:
//
//     #host=3&with=2       the host, and one beside it; without a host: all hosts
//     &span=900000         how much time, in ms, up to now
//     &to=1790000000000    up to this moment: what is paused or zoomed
//     &charts=12.15~40     charts of one's own: series 12 and 15 in one, 40 in another

const LEAST_SPAN = 2000;
const MOST_SPAN = 20 * 366 * 86400000;
/** What is shown if the address says nothing. */
let usual = 5 * 60000;

const listeners = [];
// What was shown when a login was asked for.
const before = sessionStorage.getItem("shown");
sessionStorage.removeItem("shown");
if (before && !location.hash) history.replaceState(null, "", before);
let current = read();

function number(parameters, name) {
  const text = parameters.get(name);
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function read() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const charts = (parameters.get("charts") ?? "").split("~")
    .map((chart) => chart.split(".").filter((id) => /^\d{1,15}$/.test(id)).map(Number))
    .filter((chart) => chart.length);
  return {
    host: number(parameters, "host"),
    with: number(parameters, "with"),
    span: Math.min(MOST_SPAN, Math.max(LEAST_SPAN, number(parameters, "span") ?? usual)),
    to: number(parameters, "to"),
    charts: charts.slice(0, 50),
    wall: parameters.has("wall"),
  };
}

function write(state) {
  const parts = [];
  if (state.host !== null) parts.push(`host=${state.host}`);
  else if (state.wall) parts.push("wall");
  if (state.with !== null) parts.push(`with=${state.with}`);
  if (state.span !== usual) parts.push(`span=${Math.round(state.span)}`);
  if (state.to !== null) parts.push(`to=${Math.round(state.to)}`);
  if (state.charts.length) parts.push(`charts=${state.charts.map((chart) => chart.join(".")).join("~")}`);
  return `#${parts.join("&")}`;
}

/** What is shown now. */
export const shown = () => current;

/** Show so much time where the address says nothing. */
export function setUsual(span) {
  const isShown = current.span === usual;
  usual = span;
  if (isShown) current = { ...current, span };
}

/** The address of what is shown, with changes. */
export const link = (changes) => write({ ...current, ...changes });

/** Show something else. A step that is one of many, such as a turn of a wheel, makes no entry in the history. */
export function show(changes, { isStep = false } = {}) {
  const next = { ...current, ...changes };
  next.span = Math.min(MOST_SPAN, Math.max(LEAST_SPAN, next.span));
  const hash = write(next);
  if (hash === write(current)) return;
  history[isStep ? "replaceState" : "pushState"](null, "", hash);
  change(next);
}

function change(next) {
  const previous = current;
  current = next;
  for (const listener of listeners) listener(current, previous);
}

/** Call a function with what is shown and what was, at each change. */
export const onChange = (listener) => listeners.push(listener);

window.addEventListener("hashchange", () => {
  const next = read();
  if (write(next) !== write(current)) change(next);
});
window.addEventListener("popstate", () => {
  const next = read();
  if (write(next) !== write(current)) change(next);
});
