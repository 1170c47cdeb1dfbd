// Elements. Whatever comes from a post becomes text, never markup: nothing here, or elsewhere in the page,
// parses HTML.

const LONGEST = 300;

/** Make an element. Properties are set as such, `on…` as listeners, `aria-…` and `data-…` as attributes. */
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for" || name === "list") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return made;
}

/** Text of others, kept apart from the direction of what is around it, and cut where nobody reads on. */
export function foreign(text, properties = {}) {
  const whole = String(text);
  const shown = whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole;
  return h("bdi", { title: shown.length > 24 ? shown : undefined, ...properties }, shown);
}

/** Set the text of an element only where it changed, so that nothing is laid out anew for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
