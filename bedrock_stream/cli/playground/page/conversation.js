// The conversation: its turns, sending a message, stopping a response, asking again, and starting a new chat.

import { Announcer } from "./announcer.js";
import { copyText } from "./clipboard.js";
import { showCode } from "./code.js";
import { byId, make } from "./dom.js";
import { Follower } from "./follower.js";
import { ask } from "./lines.js";
import { Pieces } from "./pieces.js";
import { keepLine, savedTurns, saveTurns } from "./storage.js";
import { Turn } from "./turn.js";
import { showWelcome } from "./welcome.js";

const talk = byId("talk");

export class Conversation {
  /** `options` returns the selected options or null; `inspector` shows frames and events. */
  constructor(options, inspector) {
    this.options = options;
    this.inspector = inspector;
    this.announcer = new Announcer();
    this.follower = new Follower(talk);
    this.turns = []; // {options, message, lines, added, stopped}; `added` is null if the history is without the turn
    this.running = null; // the AbortController of the response that is being read
  }

  /** Send a message. Return whether it was sent. */
  send(text) {
    const options = this.options();
    if (this.running || !text.trim() || !options) return false;
    const turn = { options, message: { role: "user", content: [{ type: "text", text }] }, lines: [], added: null, stopped: false };
    this.turns.push(turn);
    const element = this.draw(turn);
    this.follower.toEnd();
    this.run(turn, element);
    return true;
  }

  async run(turn, element) {
    const controller = (this.running = new AbortController());
    this.showRunning(true);
    const view = new Turn(element, { schema: turn.options.output_schema });
    view.pieces = new Pieces((row) => this.inspector.openFrame(row));
    const outcome = await this.read(turn, view, controller.signal);
    if (this.running !== controller) return; // a new chat has been started meanwhile
    turn.added ??= partialAnswer(view);
    view.end({ stopped: turn.stopped, note: noteOf(turn), actions: this.actions(turn, view) });
    this.announcer.end(outcome);
    this.follower.follow();
    this.running = null;
    this.showRunning(false);
    saveTurns(this.turns);
  }

  /** Show a response as it arrives. Return how it ended. */
  async read(turn, view, signal) {
    let outcome = "End of response.";
    const take = (line) => {
      keepLine(turn.lines, line);
      const frame = this.inspector.add(line);
      if (line.type === "text_delta") view.pieces.add(line.text, frame, view.round);
      if (line.type === "text_delta") this.announcer.add(line.text);
      if (line.type === "tool_call_start") this.announcer.announce(`The model calls the tool ${line.name}.`);
      if (line.type === "error") outcome = `Error: ${line.kind}. ${line.message}`;
      if (line.type === "done") turn.added = line.messages;
      view.show(line);
    };
    try {
      for await (const line of ask(this.questionOf(turn), signal)) {
        if (signal.aborted) break;
        take(line);
        this.follower.follow();
      }
    } catch (error) {
      if (!signal.aborted) {
        const remedy = "Check that the playground is still running.";
        take({ type: "error", kind: "ConnectionLost", message: String(error.message), remedy });
        outcome = "The connection to the playground was lost.";
      }
    }
    turn.stopped = signal.aborted;
    return turn.stopped ? "Stopped." : outcome;
  }

  stop() {
    this.running?.abort();
  }

  startNew() {
    this.stop();
    this.running = null;
    this.turns = [];
    byId("turns").replaceChildren();
    showWelcome(true);
    this.inspector.clear();
    this.showRunning(false);
    saveTurns(this.turns);
  }

  /** Ask again from a turn on, with the selected options. The turns after it are removed. */
  retry(turn) {
    if (this.running || !this.options()) return;
    this.turns.splice(this.turns.indexOf(turn));
    while (byId("turns").childElementCount > 2 * this.turns.length) byId("turns").lastElementChild.remove();
    this.send(turn.message.content[0].text);
  }

  /** Show the turns that were saved before a reload; none if another version of the page has saved them. */
  restore() {
    try {
      this.showSaved(savedTurns());
    } catch {
      this.startNew();
    }
  }

  showSaved(turns) {
    for (const turn of turns) {
      this.turns.push(turn);
      const view = new Turn(this.draw(turn), { schema: turn.options.output_schema, replayed: true });
      for (const line of turn.lines) view.show(line);
      view.end({ stopped: turn.stopped, note: noteOf(turn), actions: this.actions(turn, view) });
    }
    if (this.turns.length) this.follower.toEnd();
  }

  /** Save the turns when the page is left; a response under way is stopped by that. */
  save() {
    const last = this.turns.at(-1);
    if (!this.running || !last) return;
    this.running = null; // what the response still does in the page that is left does not count
    const text = last.lines.filter(({ type }) => type === "text_delta").map((line) => line.text).join("");
    saveTurns([...this.turns.slice(0, -1), { ...last, stopped: true, added: partialAnswer({ text }) }]);
  }

  /** Return the request's body for a turn: its options, and the history before it. */
  questionOf(turn) {
    const before = this.turns.slice(0, this.turns.indexOf(turn));
    const history = before.flatMap(({ message, added }) => (added ? [message, ...added] : []));
    return { ...turn.options, messages: [...history, turn.message] };
  }

  // ---------------------------------------------------------------------------------------------------------- parts

  draw(turn) {
    showWelcome(false);
    const element = make("li", "turn model", heading("Model"));
    byId("turns").append(make("li", "turn user", heading("You"), make("div", "said", turn.message.content[0].text)), element);
    return element;
  }

  actions(turn, view) {
    const list = make("div", "actions");
    const add = (label, act, title = "") => {
      const button = make("button", "quiet", label);
      button.type = "button";
      button.title = title;
      button.addEventListener("click", () => act(button));
      list.append(button);
      return button;
    };
    const text = view.text || view.form?.source.textContent;
    if (text) add("Copy", (button) => copyText(text, button), "Copy the text of this response");
    add("Retry", () => this.retry(turn), "Ask again with the selected options; later turns are removed");
    add("Show code", () => showCode(this.questionOf(turn)), "The program and the request that reproduce this response");
    if (view.pieces && view.text) {
      const button = add("Pieces", () => view.pieces.toggle(button), "The text as it was received, piece by piece, with the frames");
      button.setAttribute("aria-expanded", "false");
    }
    return list;
  }

  showRunning(isRunning) {
    const focused = document.activeElement;
    byId("send").hidden = isRunning;
    byId("stop").hidden = !isRunning;
    talk.setAttribute("aria-busy", String(isRunning));
    if (!isRunning && (focused === byId("stop") || focused === document.body)) byId("prompt").focus();
  }
}

/** Return the messages that a response without an end adds to the history; null if it has no text. */
function partialAnswer({ text }) {
  return text.trim() ? [{ role: "assistant", content: [{ type: "text", text }] }] : null;
}

const noteOf = ({ added, stopped }) =>
  [stopped ? "Stopped." : "", added ? "" : "This message was not added to the conversation."].join(" ").trim();

/** Create a heading with the speaker for screen readers; on screen, position and style show who speaks. */
const heading = (speaker) => make("h2", "unseen", speaker);
