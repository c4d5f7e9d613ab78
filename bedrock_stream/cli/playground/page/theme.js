// The theme: the system's, or the one that was selected.

import { byId } from "./dom.js";

const THEMES = { system: ["◐", "system"], light: ["☀", "light"], dark: ["☾", "dark"] };

export function setUpTheme() {
  const button = byId("theme");
  let theme = localStorage.getItem("theme") ?? "system";
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const [icon, label] = THEMES[theme] ?? THEMES.system;
    button.textContent = icon;
    button.setAttribute("aria-label", `Theme: ${label}`);
    button.title = `Theme: ${label}`;
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    localStorage.setItem("theme", theme);
    apply();
  });
  apply();
}
