// The start of the page: what listens to what.

import { setUpCode } from "./code.js";
import { Conversation } from "./conversation.js";
import { byId } from "./dom.js";
import { setUpExport } from "./export.js";
import { Inspector } from "./inspector.js";
import { selectedOptions, setUpOptions } from "./options.js";
import { closeCoveringPanel, setUpPanels, showPanel } from "./panels.js";
import { setUpTheme } from "./theme.js";
import { setUpStarters, showPlace } from "./welcome.js";

const prompt = byId("prompt");
const inspector = new Inspector();
const conversation = new Conversation(readOptions, inspector);

/** Return the selected options; null if one of them cannot be sent, which is then shown. */
function readOptions() {
  const options = selectedOptions();
  if (options === null) {
    showPanel("options", true);
    byId("schema").focus();
  }
  return options;
}

function submit(event) {
  event?.preventDefault();
  const text = prompt.value;
  prompt.value = "";
  if (!conversation.send(text)) prompt.value = text;
}

function addListeners() {
  byId("composer").addEventListener("submit", submit);
  byId("stop").addEventListener("click", () => conversation.stop());
  byId("new-chat").addEventListener("click", () => {
    conversation.startNew();
    prompt.focus();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open], :popover-open") && !closeCoveringPanel()) conversation.stop();
  });
  addEventListener("pagehide", () => conversation.save());
}

async function start() {
  if (location.search) window.history.replaceState(null, "", location.pathname); // the token is now in a cookie
  setUpTheme();
  setUpPanels({ frames: () => inspector.scrollToEnd() });
  setUpCode();
  setUpExport(conversation);
  addListeners();
  const settings = await (await fetch("/settings")).json();
  showPlace(settings);
  setUpStarters(settings.starters, (text) => conversation.send(text));
  conversation.restore();
  await setUpOptions(settings.models);
  document.documentElement.dataset.ready = "true";
  if (matchMedia("(min-width: 861px)").matches) prompt.focus();
}

start();
