// A host: its overview, every family below, and a second host beside it.

import * as address from "./address.js";
import * as api from "./api.js";
import { foreign, h, say } from "./dom.js";
import { families, overview } from "./overview.js";
import { moment } from "./time.js";
import { span } from "./units.js";

const STATES = { live: "live", late: "late", silent: "silent" };
const MEANINGS = { live: "Polls arrive in time", late: "Polls arrive long after their time", silent: "Nothing has arrived for three intervals and five seconds" };

/** The state of an agent in words and a sign; never by colour alone. */
export function stateOf(agent) {
  const silent = agent.state === "silent" ? ` for ${span(Math.max(0, (api.now() - agent.newest_ms) / 1000))}` : "";
  const sign = { live: "●", late: "◐", silent: "○" }[agent.state] ?? "?";
  return h("span", { className: `state ${agent.state}`, title: MEANINGS[agent.state] }, `${sign} ${STATES[agent.state] ?? agent.state}${silent}`);
}

/** What is wrong with an agent's polls in the last day, in words; empty if nothing. */
export function troubleOf(agent) {
  const found = [];
  if (agent.gaps_day.missed) found.push(`${agent.gaps_day.missed} ${agent.gaps_day.missed === 1 ? "poll" : "polls"} missing in ${agent.gaps_day.gaps} ${agent.gaps_day.gaps === 1 ? "gap" : "gaps"}`);
  if (agent.late_polls_day) found.push(`${agent.late_polls_day} polls came late`);
  if (agent.refused_series) found.push(`${agent.refused_series} series refused: the agent is at its limit`);
  return found.length ? `last 24 h: ${found.join(", ")}` : "";
}

const MOST_EVENTS = 4;

/** The newest of what was wrong in the time that is shown; a click shows it more closely. */
export function showEvents(place, events, span_) {
  const key = events.map((event) => `${event.from} ${event.words}`).join();
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...events.slice(0, MOST_EVENTS).map((event) => h("li", {}, h("button", {
    type: "button", title: "Show it more closely", onclick: () => {
      const width = Math.max(10000, 4 * (event.to - event.from));
      address.show({ span: width, to: (event.from + event.to + width) / 2 });
    },
  }, h("i", { className: `mark ${event.kind === "open" ? "outage" : event.kind}` }), moment(event.from, span_), " ", foreign(event.words)))),
  ...(events.length > MOST_EVENTS ? [h("li", { className: "dim" }, `and ${events.length - MOST_EVENTS} more`)] : []));
}

/**
 * Fill `main` with a host. Returns the charts that are in it, to which those of families are added as they are
 * opened, and a function that says how the agent is by now.
 */
export async function showHost(main, agents, agent, { make, changed }) {
  const shown = address.shown();
  const second = agents.find((other) => other.id === shown.with && other.id !== agent.id);
  const [catalog, beside] = await Promise.all([api.seriesOf(agent.id), second ? api.seriesOf(second.id) : []]);
  const charts = overview(catalog, beside).map(make);
  const more = h("div", { className: "families" }, h("h2", {}, "All figures"));
  const { element, tell } = head(agents, agent, second);
  main.replaceChildren(
    element,
    h("ul", { className: "events", "aria-label": "What was wrong in this time" }),
    h("div", { className: "charts own" }),
    charts.length ? h("div", { className: "charts" }, charts.map((chart) => chart.element)) : h("p", { className: "empty" }, "This agent has sent no figures that are known here. All it sent is below."),
    more,
  );
  for (const family of families(catalog)) more.append(familyOf(family, { make, charts, changed }));
  return { charts, tell };
}

function head(agents, agent, second) {
  const others = agents.filter((other) => other.id !== agent.id);
  const choice = h("select", {
    id: "with", onchange: () => address.show({ with: choice.value ? Number(choice.value) : null }),
  }, h("option", { value: "" }, "nothing"), others.map((other) => h("option", { value: String(other.id), selected: other.id === second?.id }, other.host.slice(0, 100))));
  const state = h("span", {});
  const about = h("span", { className: "dim" });
  const trouble = h("span", { className: "trouble" });
  const tell = (now) => {
    const { className, textContent, title } = stateOf(now);
    Object.assign(state, { className, title });
    say(state, textContent);
    say(about, `every ${span(now.interval_ms / 1000)}, ${now.series} series`);
    say(trouble, troubleOf(now));
  };
  tell(agent);
  const element = h("div", { className: "head" }, h("h1", {}, foreign(agent.host)), state, about, trouble,
    others.length > 0 && h("label", { className: "with", for: "with" }, second ? "beside it, dashed " : "beside it ", choice));
  return { element, tell };
}

function familyOf(family, { make, charts, changed }) {
  const place = h("div", { className: "charts" });
  let own = [];
  const whole = h("details", {
    ontoggle: () => {
      if (whole.open && !own.length) {
        own = family.charts().map(make);
        place.append(...own.map((chart) => chart.element));
        charts.push(...own);
      } else if (!whole.open) {
        for (const chart of own) charts.splice(charts.indexOf(chart), 1);
        own = [];
        place.replaceChildren();
      }
      changed();
    },
  }, h("summary", {}, family.title, h("span", { className: "dim" }, ` ${family.count}`)), place);
  return whole;
}
