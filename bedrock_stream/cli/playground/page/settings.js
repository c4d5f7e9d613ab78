// The theme, the panels, and what is chosen around the prompt.

import { byId, make } from "./dom.js";

const OTHER = "other";
const THEMES = { system: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

export function setUpTheme() {
  const button = byId("theme");
  let theme = localStorage.getItem("theme") ?? "system";
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const [sign, words] = THEMES[theme] ?? THEMES.system;
    button.textContent = sign;
    button.setAttribute("aria-label", `Theme: ${words}`);
    button.title = `Theme: ${words}`;
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    localStorage.setItem("theme", theme);
    apply();
  });
  apply();
}

/** One panel at a time beside the conversation; on a narrow screen it covers it. */
export function setUpPanels() {
  narrow.addEventListener("change", hideCovered);
  for (const name of ["options", "frames"]) {
    byId(`toggle-${name}`).addEventListener("click", () => showPanel(name, byId(name).hidden));
    document.querySelector(`[data-closes="${name}"]`).addEventListener("click", () => {
      showPanel(name, false);
      byId(`toggle-${name}`).focus();
    });
  }
}

export function showPanel(name, wanted) {
  for (const other of ["options", "frames"]) {
    const open = other === name && wanted;
    byId(other).hidden = !open;
    byId(`toggle-${other}`).setAttribute("aria-expanded", String(open));
  }
  hideCovered();
  if (wanted && isNarrow()) document.querySelector(`[data-closes="${name}"]`).focus();
}

/** What a panel covers cannot be seen, so it cannot be reached either. */
function hideCovered() {
  const covered = isNarrow() && ["options", "frames"].some((name) => !byId(name).hidden);
  for (const part of document.querySelectorAll(".skip, .bar, .chat")) part.inert = covered;
}

const narrow = matchMedia("(max-width: 860px)");
const isNarrow = () => narrow.matches;

/** Close what covers the conversation; true where something did. */
export function uncover() {
  const open = ["options", "frames"].find((name) => !byId(name).hidden);
  if (!open || !isNarrow()) return false;
  showPanel(open, false);
  byId(`toggle-${open}`).focus();
  return true;
}

export function setUpChoices({ place, region, models }) {
  const badge = byId("place");
  badge.dataset.place = place;
  badge.textContent = place === "aws" ? `AWS ${region}, costs apply` : "Local emulator";
  byId("welcome-about").textContent =
    place === "aws"
      ? `Requests go to Amazon Bedrock in ${region} and cost what the model costs. Every frame is kept for you to look at.`
      : "An emulator on this machine plays Amazon Bedrock: no account, no cost. Its words are scripted; signing, HTTP, binary frames and decoding are real.";
  const select = byId("model");
  for (const { name, id } of models) select.append(new Option(name, id));
  select.append(new Option("Another model", OTHER));
  select.addEventListener("change", () => {
    const other = select.value === OTHER;
    byId("other-model").hidden = !other;
    if (other) byId("model-id").focus();
  });
}

/** The starters of the empty page. */
export function setUpStarters(starters, send) {
  for (const { title, about, prompt } of starters) {
    const button = make("button", "starter", make("b", "", title), make("span", "", about));
    button.type = "button";
    button.addEventListener("click", () => send(prompt));
    byId("starters").append(make("li", "", button));
  }
}

/** What goes along with the conversation. */
export function chosen() {
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
