// The panels beside the conversation: side by side on a wide screen, one at a time on a smaller one, and on top of the
// conversation on a narrow one.

import { byId } from "./dom.js";

const NAMES = ["options", "frames"];
const narrow = matchMedia("(max-width: 860px)");
const wide = matchMedia("(min-width: 1101px)");
const shown = {}; // what to do when a panel is shown, by its name

export function setUpPanels(whenShown) {
  Object.assign(shown, whenShown);
  narrow.addEventListener("change", updateInert);
  wide.addEventListener("change", () => {
    if (!wide.matches && NAMES.every((name) => !byId(name).hidden)) showPanel("options", false);
  });
  for (const name of NAMES) {
    byId(`toggle-${name}`).addEventListener("click", () => showPanel(name, byId(name).hidden));
    document.querySelector(`[data-closes="${name}"]`).addEventListener("click", () => {
      showPanel(name, false);
      byId(`toggle-${name}`).focus();
    });
  }
}

/** Show or hide a panel. With `isQuiet`, the caller decides what it shows and where the focus is. */
export function showPanel(name, visible, isQuiet = false) {
  for (const other of NAMES) {
    if (other !== name && (wide.matches || !visible)) continue;
    const open = other === name && visible;
    byId(other).hidden = !open;
    byId(`toggle-${other}`).setAttribute("aria-expanded", String(open));
  }
  updateInert();
  if (!visible || isQuiet) return;
  shown[name]?.();
  if (narrow.matches) document.querySelector(`[data-closes="${name}"]`).focus();
}

/** Make everything that a panel covers inert, so that the keyboard cannot reach what is not visible. */
function updateInert() {
  const covered = narrow.matches && NAMES.some((name) => !byId(name).hidden);
  for (const part of document.querySelectorAll(".skip, .bar, .chat")) part.inert = covered;
}

/** Close the panel that covers the conversation. Return true if there was one. */
export function closeCoveringPanel() {
  const open = NAMES.find((name) => !byId(name).hidden);
  if (!open || !narrow.matches) return false;
  showPanel(open, false);
  byId(`toggle-${open}`).focus();
  return true;
}
