// Everything by keys, and the list of them.

import { h } from "./dom.js";

/** `actions` maps a key to what it does: [words, function]. A key in a field is the field's. */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || document.querySelector("dialog[open]")) return;
    // A space presses what has the focus.
    if ((event.key === " " || event.key === "Enter") && target instanceof Element && target.closest("button, summary, a")) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action[1]();
  });
}

/** The list of the keys, to be opened. */
export function help(actions, notes) {
  const rows = new Map();
  for (const [key, [words]] of Object.entries(actions)) rows.set(words, [...(rows.get(words) ?? []), { " ": "Space", ArrowLeft: "←", ArrowRight: "→" }[key] ?? key]);
  const dialog = h("dialog", { className: "help", "aria-label": "Keys", onclick: (event) => event.target === dialog && dialog.close() },
    h("h2", {}, "Keys"), h("dl", {}, [...rows].flatMap(([words, keys]) => [h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, words)])),
    notes.map(([sign, words]) => h("p", {}, h("i", { className: `mark ${sign}` }), words)),
    h("form", { method: "dialog" }, h("button", {}, "Close")));
  document.body.append(dialog);
  return dialog;
}
