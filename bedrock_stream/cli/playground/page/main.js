// The conversation: its history, sending a message, stopping a response, and starting a new chat.

import { Announcer } from "./announcer.js";
import { byId, make } from "./dom.js";
import { Frames } from "./frames.js";
import { ask } from "./lines.js";
import {
  closeCoveringPanel, selectedOptions, setUpChoices, setUpPanels, setUpStarters, setUpTheme,
} from "./settings.js";
import { Turn } from "./turn.js";

const conversation = byId("talk");
const prompt = byId("prompt");
const frames = new Frames();
const announcer = new Announcer();
let history = [];
let running = null; // the AbortController of the response that is being read

async function send(text) {
  if (running || !text.trim()) return;
  const controller = (running = new AbortController());
  const message = { role: "user", content: [{ type: "text", text }] };
  byId("welcome").hidden = true;
  byId("turns").append(make("li", "turn user", heading("You"), make("div", "said", text)));
  const element = make("li", "turn model", heading("Model"));
  byId("turns").append(element);
  scrollToEnd();
  showRunning(true);
  const turn = new Turn(element);
  const added = await read(turn, { ...selectedOptions(), messages: [...history, message] }, controller);
  if (running !== controller) return; // a new chat has been started meanwhile
  if (added) history.push(message, ...added);
  running = null;
  showRunning(false);
}

/** Show a response as it arrives. Return the messages that it adds to the history; null if the question is dropped too. */
async function read(turn, question, controller) {
  let added = null;
  let note = "";
  let outcome = "End of response.";
  try {
    for await (const line of ask(question, controller.signal)) {
      const follow = isAtEnd();
      if (line.type === "frame") frames.add(line);
      else if (line.type === "round") frames.request(line);
      if (line.type === "text_delta") announcer.add(line.text);
      if (line.type === "tool_call_start") announcer.announce(`The model calls the tool ${line.name}.`);
      if (line.type === "error") outcome = `Error: ${line.kind}. ${line.message}`;
      turn.show(line);
      if (line.type === "done") added = line.messages;
      if (follow) scrollToEnd();
    }
  } catch (error) {
    if (controller.signal.aborted) {
      note = "Stopped.";
      outcome = "Stopped.";
    } else {
      turn.show({ type: "error", kind: "ConnectionLost", message: String(error.message), remedy: "Check that the playground is still running." });
      outcome = "The connection to the playground was lost.";
    }
  }
  if (!added && turn.text.trim()) added = [{ role: "assistant", content: [{ type: "text", text: turn.text }] }];
  else if (!added) note += " This message was not added to the conversation.";
  turn.end(note.trim());
  announcer.end(outcome);
  if (isAtEnd(200)) scrollToEnd();
  return added;
}

function showRunning(isRunning) {
  const focused = document.activeElement;
  byId("send").hidden = isRunning;
  byId("stop").hidden = !isRunning;
  conversation.setAttribute("aria-busy", String(isRunning));
  if (!isRunning && (focused === byId("stop") || focused === document.body)) prompt.focus();
}

function stop() {
  running?.abort();
}

function startNewChat() {
  stop();
  running = null;
  history = [];
  byId("turns").replaceChildren();
  byId("welcome").hidden = false;
  frames.clear();
  showRunning(false);
  prompt.focus();
}

/** Create a heading with the speaker for screen readers; on screen, position and style show who speaks. */
const heading = (speaker) => make("h2", "unseen", speaker);

const isAtEnd = (slack = 80) => conversation.scrollHeight - conversation.scrollTop - conversation.clientHeight < slack;
const scrollToEnd = () => requestAnimationFrame(() => (conversation.scrollTop = conversation.scrollHeight));

function submit(event) {
  event?.preventDefault();
  if (running || !prompt.value.trim()) return;
  const text = prompt.value;
  prompt.value = "";
  send(text);
}

function addListeners() {
  let height = conversation.clientHeight;
  new ResizeObserver(() => {
    if (isAtEnd(80 + height - conversation.clientHeight)) scrollToEnd(); // a growing prompt shrinks the conversation
    height = conversation.clientHeight;
  }).observe(conversation);
  byId("composer").addEventListener("submit", submit);
  byId("stop").addEventListener("click", stop);
  byId("new-chat").addEventListener("click", startNewChat);
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !closeCoveringPanel()) stop();
  });
}

async function start() {
  if (location.search) window.history.replaceState(null, "", location.pathname); // the token is now in a cookie
  setUpTheme();
  setUpPanels();
  addListeners();
  const settings = await (await fetch("/settings")).json();
  setUpChoices(settings);
  setUpStarters(settings.starters, send);
  document.documentElement.dataset.ready = "true";
  if (matchMedia("(min-width: 861px)").matches) prompt.focus();
}

start();
