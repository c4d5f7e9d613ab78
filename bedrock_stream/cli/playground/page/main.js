// The conversation: what was said so far, one answer at a time, and the ways to begin, stop and forget it.

import { Announcer } from "./announcer.js";
import { byId, make } from "./dom.js";
import { Frames } from "./frames.js";
import { ask } from "./lines.js";
import { chosen, setUpChoices, setUpPanels, setUpStarters, setUpTheme, uncover } from "./settings.js";
import { Turn } from "./turn.js";

const talk = byId("talk");
const prompt = byId("prompt");
const frames = new Frames();
const announcer = new Announcer();
let history = [];
let running = null; // the AbortController of the answer that is being read

async function send(text) {
  if (running || !text.trim()) return;
  const mine = (running = new AbortController());
  const said = { role: "user", content: [{ type: "text", text }] };
  byId("welcome").hidden = true;
  byId("turns").append(make("li", "turn user", heading("You"), make("div", "said", text)));
  const element = make("li", "turn model", heading("The model"));
  byId("turns").append(element);
  toEnd();
  showRunning(true);
  const turn = new Turn(element);
  const added = await read(turn, { ...chosen(), messages: [...history, said] }, mine);
  if (running !== mine) return; // a new chat was begun meanwhile
  if (added) history.push(said, ...added);
  running = null;
  showRunning(false);
}

/** Show an answer as it comes; returns the messages that it adds, null where the question is better forgotten. */
async function read(turn, question, controller) {
  let added = null;
  let note = "";
  let about = "End of the answer.";
  try {
    for await (const line of ask(question, controller.signal)) {
      const follows = isAtEnd();
      if (line.type === "frame") frames.add(line);
      else if (line.type === "round") frames.request(line);
      if (line.type === "text_delta") announcer.add(line.text);
      if (line.type === "tool_call_start") announcer.say(`The model calls ${line.name}.`);
      if (line.type === "error") about = `Error: ${line.kind}. ${line.message}`;
      turn.show(line);
      if (line.type === "done") added = line.messages;
      if (follows) toEnd();
    }
  } catch (error) {
    if (controller.signal.aborted) {
      note = "Stopped.";
      about = "Stopped.";
    } else {
      turn.show({ type: "error", kind: "ConnectionLost", message: String(error.message), remedy: "Is the playground still running?" });
      about = "The connection to the playground was lost.";
    }
  }
  if (!added && turn.text.trim()) added = [{ role: "assistant", content: [{ type: "text", text: turn.text }] }];
  else if (!added) note += " The model will not remember this question.";
  turn.end(note.trim());
  announcer.end(about);
  if (isAtEnd(200)) toEnd();
  return added;
}

function showRunning(is) {
  const focused = document.activeElement;
  byId("send").hidden = is;
  byId("stop").hidden = !is;
  talk.setAttribute("aria-busy", String(is));
  if (!is && (focused === byId("stop") || focused === document.body)) prompt.focus();
}

function stop() {
  running?.abort();
}

function forget() {
  stop();
  running = null;
  history = [];
  byId("turns").replaceChildren();
  byId("welcome").hidden = false;
  frames.clear();
  showRunning(false);
  prompt.focus();
}

/** Who speaks: seen by where it stands and how it looks, heard as a heading to jump by. */
const heading = (who) => make("h2", "unseen", who);

const isAtEnd = (slack = 80) => talk.scrollHeight - talk.scrollTop - talk.clientHeight < slack;
const toEnd = () => requestAnimationFrame(() => (talk.scrollTop = talk.scrollHeight));

function submit(event) {
  event?.preventDefault();
  if (running || !prompt.value.trim()) return;
  const text = prompt.value;
  prompt.value = "";
  send(text);
}

function listen() {
  let height = talk.clientHeight;
  new ResizeObserver(() => {
    if (isAtEnd(80 + height - talk.clientHeight)) toEnd(); // a prompt that grows leaves less room for the answer
    height = talk.clientHeight;
  }).observe(talk);
  byId("composer").addEventListener("submit", submit);
  byId("stop").addEventListener("click", stop);
  byId("new-chat").addEventListener("click", forget);
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !uncover()) stop();
  });
}

async function start() {
  if (location.search) window.history.replaceState(null, "", location.pathname); // the token has become a cookie
  setUpTheme();
  setUpPanels();
  listen();
  const settings = await (await fetch("/settings")).json();
  setUpChoices(settings);
  setUpStarters(settings.starters, send);
  document.documentElement.dataset.ready = "true";
  if (matchMedia("(min-width: 861px)").matches) prompt.focus();
}

start();
