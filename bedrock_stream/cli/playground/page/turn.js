// One response on the page, built block by block from its events.

import { fact, make } from "./dom.js";
import { Markdown } from "./markdown.js";

export class Turn {
  constructor(element) {
    this.element = element;
    this.text = ""; // of all rounds, for the history if the response is stopped
    this.round = 0;
    this.blocks = new Map();
    this.calls = new Map();
    this.usage = { input_tokens: null, output_tokens: null };
    this.facts = {};
    this.deltas = 0;
    element.classList.add("waiting");
  }

  /** Show one line of the response. */
  show(line) {
    const handler = this[`on_${line.type}`];
    if (handler) handler.call(this, line);
  }

  on_round(line) {
    this.round = line.number;
    Object.assign(this.facts, { route: line.route, request: line.request_id });
  }

  on_text_delta({ index, text }) {
    this.text += text;
    this.countDelta();
    this.block(index, () => this.prose("prose")).add(text);
  }

  on_reasoning_delta({ index, text }) {
    this.countDelta();
    if (text) this.block(index, () => this.thought()).add(text);
  }

  on_tool_call_start({ index, id, name }) {
    const call = new Call(name);
    this.calls.set(id, call);
    this.block(index, () => (this.element.append(call.element), call));
  }

  on_tool_call_delta({ index, input_json }) {
    this.countDelta();
    this.blocks.get(this.key(index))?.add(input_json);
  }

  on_tool_call_end({ id, input }) {
    this.calls.get(id)?.inputComplete(input !== null);
  }

  on_tool_result(line) {
    this.calls.get(line.id)?.showResult(line);
  }

  on_block_stop({ index }) {
    this.blocks.get(this.key(index))?.close?.();
  }

  on_message_stop({ stop_reason }) {
    this.facts.stop = stop_reason;
  }

  on_metadata({ usage }) {
    for (const name of Object.keys(this.usage)) {
      if (usage?.[name] != null) this.usage[name] = (this.usage[name] ?? 0) + usage[name];
    }
  }

  on_measures({ first_content, tokens_per_second }) {
    this.facts.first ??= first_content;
    this.facts.rate = tokens_per_second ?? this.facts.rate;
    this.showMeasures();
  }

  on_error(line) {
    delete this.facts.request; // shown with the error instead
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

  /** Finish the response: no more lines follow. */
  end(note = "") {
    this.element.classList.remove("waiting");
    for (const block of this.blocks.values()) block.close?.();
    for (const call of this.calls.values()) call.finish();
    if (note) this.element.append(make("p", "note", note));
    this.showMeasures();
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
      label.textContent = `Thought for ${((performance.now() - started) / 1000).toFixed(1)} s`;
      markdown.close = undefined;
    };
    return markdown;
  }

  /** Count a delta and estimate the output rate from it until the service reports token usage. */
  countDelta() {
    this.started ??= performance.now();
    this.deltas += 1;
    const seconds = (performance.now() - this.started) / 1000;
    if (seconds > 0.3) this.facts.estimate = (this.deltas - 1) / seconds;
    if (this.deltas % 8 === 0) this.showMeasures();
  }

  showMeasures() {
    const { first, rate, estimate, stop, route, request } = this.facts;
    const speed = rate != null ? rate.toFixed(0) : estimate != null ? `about ${estimate.toFixed(0)}` : null;
    const values = {
      "first token": first == null ? null : `${(first * 1000).toFixed(0)} ms`,
      "tokens/s": speed,
      "input tokens": this.usage.input_tokens,
      "output tokens": this.usage.output_tokens,
      "stop reason": stop,
      route,
      "request id": request,
    };
    this.measures ??= make("dl", "measures");
    this.measures.replaceChildren(
      ...Object.entries(values).filter(([, value]) => value != null).map(([term, value]) => fact(term, String(value))),
    );
    if (this.measures.childElementCount) this.element.append(this.measures); // stays the last element
  }
}

/** A tool call: its input as it arrives, its state, and its result. */
class Call {
  constructor(name) {
    this.state = make("span", "state");
    this.input = make("pre", "input");
    this.result = make("pre", "result");
    const head = make("div", "tool-head", make("code", "", name), this.state);
    this.element = make("section", "tool", head, this.input, this.result);
    this.element.setAttribute("role", "group"); // not a landmark, because several may have the same name
    this.element.setAttribute("aria-label", `Tool call ${name}`);
    this.setState("writing", "receiving input");
  }

  add(fragment) {
    this.input.append(make("span", "fragment", fragment));
  }

  inputComplete(valid) {
    if (valid) this.setState("running", "running");
    else this.setState("failed", "input is not a JSON object");
  }

  showResult({ status, content }) {
    this.setState(status === "error" ? "failed" : "done", status === "error" ? "failed" : "done");
    this.result.textContent = content.map((item) => item.text ?? JSON.stringify(item.value)).join("\n");
  }

  finish() {
    if (["writing", "running"].includes(this.state.dataset.state)) this.setState("left", "not finished");
  }

  setState(state, label) {
    this.state.dataset.state = state;
    this.state.textContent = label;
  }
}
