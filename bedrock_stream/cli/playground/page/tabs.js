// Tabs: one panel of several is visible; the arrow keys move between the tabs.

import { byId } from "./dom.js";

/** Wire the tabs of a list. `whenShown` is called with the id of the panel that becomes visible. */
export function setUpTabs(list, whenShown = () => {}) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];
  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener("click", () => {
      selectTab(tab);
      whenShown(tab.getAttribute("aria-controls"));
    });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs.at((at + step) % tabs.length);
      next.focus();
      next.click();
    });
  }
  selectTab(tabs.find((tab) => tab.getAttribute("aria-selected") === "true") ?? tabs[0]);
}

export function selectTab(selected) {
  for (const tab of selected.parentElement.querySelectorAll('[role="tab"]')) {
    const isSelected = tab === selected;
    tab.setAttribute("aria-selected", String(isSelected));
    tab.tabIndex = isSelected ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !isSelected;
  }
}
