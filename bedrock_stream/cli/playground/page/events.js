// The list of events. Each is linked to the frame that it was decoded from.

import { byId, make, scrollDown } from "./dom.js";
import { describe } from "./payloads.js";

const MAX_ROWS = 2000; // the oldest rows are removed first
const SHOWN = new Set([
  "message_start", "text_delta", "reasoning_delta", "tool_call_start", "tool_call_delta", "tool_call_end", "tool_result",
  "citation_delta", "block_stop", "message_stop", "metadata", "unknown_event", "error",
]);
// The kinds of frames, in Converse's words and Claude's, of events that carry no text of their own.
const KINDS = {
  message_start: ["messageStart", "message_start"],
  tool_call_start: ["contentBlockStart", "content_block_start"],
  tool_call_end: ["contentBlockStop", "content_block_stop"],
  block_stop: ["contentBlockStop", "content_block_stop"],
  message_stop: ["messageStop", "message_delta"],
  metadata: ["metadata", "message_stop"],
};

const textOf = (event) => event.text ?? event.input_json;

export class Events {
  /** `openFrame` shows the row of a frame. */
  constructor(openFrame) {
    this.list = byId("event-list");
    this.openFrame = openFrame;
    this.clear();
  }

  clear() {
    this.list.replaceChildren();
    byId("events-hint").hidden = false;
    this.request();
  }

  /** Begin a new request, whose events come from its own frames. */
  request() {
    this.frames = [];
    this.at = 0;
    this.used = -1; // the frame of the last piece of text: the next piece is in a later one
  }

  addFrame(frame, row) {
    this.frames.push({ number: frame.number, row, ...describe(frame) });
  }

  /** Add an event. Return its frame, if it is known. */
  add(event) {
    if (!SHOWN.has(event.type)) return null;
    const follow = this.isAtEnd();
    const frame = this.frameOf(event);
    this.list.append(make("li", "", this.row(event, frame)));
    if (this.list.childElementCount > MAX_ROWS) this.list.firstElementChild.remove();
    byId("events-hint").hidden = true;
    if (follow) this.scrollToEnd();
    return frame;
  }

  frameOf(event) {
    const text = textOf(event);
    const kinds = KINDS[event.type] ?? [];
    for (let at = text && this.used === this.at ? this.at + 1 : this.at; at < this.frames.length; at += 1) {
      const frame = this.frames[at];
      if (text ? !frame.texts.has(text) : !kinds.some((kind) => frame.kinds.includes(kind))) continue;
      this.at = at;
      if (text) this.used = at;
      return frame;
    }
    return null;
  }

  row(event, frame) {
    const parts = [make("span", "kind", event.type), make("span", "said", preview(event))];
    if (!frame) return make("div", "event", ...parts);
    const button = make("button", "event", ...parts, make("span", "number", `frame #${frame.number}`));
    button.type = "button";
    button.addEventListener("click", () => this.openFrame(frame.row));
    return button;
  }

  isAtEnd() {
    const box = byId("events-scroll");
    return box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  }

  scrollToEnd() {
    scrollDown(byId("events-scroll"));
  }
}

function preview(event) {
  const text = textOf(event);
  if (text != null) return JSON.stringify(text);
  const { type, ...rest } = event;
  return rest.name ?? rest.stop_reason ?? rest.role ?? rest.kind ?? rest.status ?? (rest.usage ? JSON.stringify(rest.usage) : "");
}
