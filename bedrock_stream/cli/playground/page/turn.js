// One response on the page, built block by block from its events.

import { Call } from "./call.js";
import { fact, make } from "./dom.js";
import { SchemaForm } from "./form.js";
import { Markdown } from "./markdown.js";
import { Measures } from "./measures.js";

const SCHEMA_TOOL = "structured_output"; // the tool that a schema is for models without a field for it

export class Turn {
  /** `schema` is that of a structured answer; `replayed` marks a response of an earlier page. */
  constructor(element, { schema = null, replayed = false } = {}) {
    this.element = element;
    this.replayed = replayed;
    this.text = ""; // of all rounds, for the history if the response is stopped
    this.round = 0;
    this.blocks = new Map();
    this.calls = new Map();
    this.measures = new Measures();
    this.error = null;
    this.form = schema && new SchemaForm(schema);
    if (this.form) element.append(this.form.element);
    element.append(this.measures.element); // the style sheet keeps it below the blocks
    element.classList.add("waiting");
  }

  /** Show one line of the response. */
  show(line) {
    const handler = this[`on_${line.type}`];
    if (handler) handler.call(this, line);
  }

  on_round(line) {
    this.round = line.number;
    this.measures.beginRound(line);
  }

  on_text_delta({ index, text }) {
    if (this.text && this.textRound !== this.round) this.text += "\n\n"; // of an earlier round
    this.textRound = this.round;
    this.text += text;
    this.measures.countDelta();
    if (this.form) this.form.add(text);
    else this.block(index, () => this.prose("prose")).add(text);
  }

  on_reasoning_delta({ index, text }) {
    this.measures.countDelta();
    if (text) this.block(index, () => this.thought()).add(text);
  }

  on_tool_call_start({ index, id, name }) {
    if (this.form && name === SCHEMA_TOOL) {
      this.blocks.set(this.key(index), this.form);
      return;
    }
    const call = new Call(name);
    this.calls.set(id, call);
    this.block(index, () => (this.element.append(call.element), call));
  }

  on_tool_call_delta({ index, input_json }) {
    this.measures.countDelta();
    this.blocks.get(this.key(index))?.add(input_json);
  }

  on_tool_call_end({ id, input }) {
    this.calls.get(id)?.inputComplete(input !== null);
  }

  on_tool_result(line) {
    this.calls.get(line.id)?.showResult(line);
  }

  on_snapshot(line) {
    this.form?.fill(line);
  }

  on_block_stop({ index }) {
    this.blocks.get(this.key(index))?.close?.();
  }

  on_message_stop({ stop_reason }) {
    this.measures.set("stop", stop_reason);
  }

  on_metadata({ usage }) {
    this.measures.addUsage(usage);
  }

  on_measures(line) {
    this.measures.addTimes(line);
  }

  on_done({ cost }) {
    this.measures.set("cost", cost);
  }

  on_error(line) {
    this.error = line;
    const facts = make("dl", "");
    const values = { code: line.code, "HTTP status": line.status, "request id": line.request_id };
    for (const [term, value] of Object.entries(values)) if (value != null) facts.append(fact(term, String(value)));
    if (line.mid_stream) facts.append(fact("received", "mid-stream"));
    if (line.retryable) facts.append(fact("retry", "may succeed"));
    const card = make("div", "trouble", make("h3", "", line.kind), make("p", "", line.message));
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", `Error: ${line.kind}`);
    if (line.remedy) card.append(make("p", "remedy", line.remedy));
    if (facts.childElementCount) card.append(facts);
    this.element.append(card);
  }

  /** Finish the response: no more lines follow. `actions` is what can be done with it. */
  end({ stopped = false, note = "", actions = null } = {}) {
    this.element.classList.remove("waiting");
    for (const block of this.blocks.values()) block.close?.();
    for (const call of this.calls.values()) call.finish();
    this.form?.finish();
    if (stopped) this.measures.set("stop", "Stopped");
    if (note) this.element.append(make("p", "note", note));
    this.element.append(this.measures.element, ...(actions ? [actions] : [])); // last in the order of reading, too
  }

  // ---------------------------------------------------------------------------------------------------------- parts

  key(index) {
    return `${this.round}.${index}`;
  }

  block(index, create) {
    const key = this.key(index);
    if (!this.blocks.has(key)) this.blocks.set(key, create());
    return this.blocks.get(key);
  }

  prose(className) {
    const element = make("div", className);
    this.element.append(element);
    return new Markdown(element);
  }

  thought() {
    const label = make("summary", "", "Thinking");
    const element = make("div", "prose");
    this.element.append(make("details", "thought", label, element));
    const markdown = new Markdown(element);
    const started = performance.now();
    markdown.close = () => {
      label.textContent = this.replayed ? "Thought" : `Thought for ${((performance.now() - started) / 1000).toFixed(1)} s`;
      markdown.close = undefined;
    };
    return markdown;
  }
}
