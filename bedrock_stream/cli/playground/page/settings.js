// The theme, the panels, and the options of the next request.

import { byId, make } from "./dom.js";

const OTHER = "other";
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

/** Open one panel at a time: next to the conversation, or on top of it on a narrow screen. */
export function setUpPanels() {
  narrow.addEventListener("change", updateInert);
  for (const name of ["options", "frames"]) {
    byId(`toggle-${name}`).addEventListener("click", () => showPanel(name, byId(name).hidden));
    document.querySelector(`[data-closes="${name}"]`).addEventListener("click", () => {
      showPanel(name, false);
      byId(`toggle-${name}`).focus();
    });
  }
}

function showPanel(name, visible) {
  for (const other of ["options", "frames"]) {
    const open = other === name && visible;
    byId(other).hidden = !open;
    byId(`toggle-${other}`).setAttribute("aria-expanded", String(open));
  }
  updateInert();
  if (visible && isNarrow()) document.querySelector(`[data-closes="${name}"]`).focus();
}

/** Make everything that a panel covers inert, so that the keyboard cannot reach what is not visible. */
function updateInert() {
  const covered = isNarrow() && ["options", "frames"].some((name) => !byId(name).hidden);
  for (const part of document.querySelectorAll(".skip, .bar, .chat")) part.inert = covered;
}

const narrow = matchMedia("(max-width: 860px)");
const isNarrow = () => narrow.matches;

/** Close the panel that covers the conversation. Return true if there was one. */
export function closeCoveringPanel() {
  const open = ["options", "frames"].find((name) => !byId(name).hidden);
  if (!open || !isNarrow()) return false;
  showPanel(open, false);
  byId(`toggle-${open}`).focus();
  return true;
}

export function setUpChoices({ place, region, models }) {
  const badge = byId("place");
  badge.dataset.place = place;
  badge.textContent = place === "aws" ? `AWS ${region} (billed)` : "Local emulator";
  byId("welcome-about").textContent =
    place === "aws"
      ? `Requests go to Amazon Bedrock in ${region} and are billed to your account. Every frame of a response can be inspected.`
      : "Requests go to an emulator of Amazon Bedrock on this machine: no account, no cost. The responses are scripted. Request signing, HTTP, binary frames and decoding are real.";
  const select = byId("model");
  for (const { name, id } of models) select.append(new Option(name, id));
  select.append(new Option("Other model", OTHER));
  select.addEventListener("change", () => {
    const other = select.value === OTHER;
    byId("other-model").hidden = !other;
    if (other) byId("model-id").focus();
  });
}

/** Show the suggested prompts of the empty page. */
export function setUpStarters(starters, send) {
  for (const { title, about, prompt } of starters) {
    const button = make("button", "starter", make("b", "", title), make("span", "", about));
    button.type = "button";
    button.addEventListener("click", () => send(prompt));
    byId("starters").append(make("li", "", button));
  }
}

/** Return the options that are sent with the conversation. */
export function selectedOptions() {
  const model = byId("model").value;
  const limit = byId("max-tokens").valueAsNumber;
  return {
    model: model === OTHER ? byId("model-id").value.trim() : model,
    route: byId("route").value,
    system: byId("system").value,
    max_tokens: Number.isInteger(limit) ? limit : null,
    reasoning: byId("reasoning").value,
    tools: byId("tools").checked,
  };
}
