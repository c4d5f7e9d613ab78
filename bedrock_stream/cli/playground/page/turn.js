// One answer on the page, block by block as its events come.

import { fact, make } from "./dom.js";
import { Markdown } from "./markdown.js";

export class Turn {
  constructor(element) {
    this.element = element;
    this.text = ""; // of all rounds, for the history where the answer is stopped
    this.round = 0;
    this.blocks = new Map();
    this.calls = new Map();
    this.usage = { input_tokens: null, output_tokens: null };
    this.facts = {};
    this.deltas = 0;
    element.classList.add("waiting");
  }

  /** Show one line. */
  show(line) {
    const shown = this[`on_${line.type}`];
    if (shown) shown.call(this, line);
  }

  on_round(line) {
    this.round = line.number;
    Object.assign(this.facts, { route: line.route, request: line.request_id });
  }

  on_text_delta({ index, text }) {
    this.text += text;
    this.beat();
    this.block(index, () => this.prose("prose")).add(text);
  }

  on_reasoning_delta({ index, text }) {
    this.beat();
    if (text) this.block(index, () => this.thought()).add(text);
  }

  on_tool_call_start({ index, id, name }) {
    const call = new Call(name);
    this.calls.set(id, call);
    this.block(index, () => (this.element.append(call.element), call));
  }

  on_tool_call_delta({ index, input_json }) {
    this.beat();
    this.blocks.get(this.key(index))?.add(input_json);
  }

  on_tool_call_end({ id, input }) {
    this.calls.get(id)?.asked(input !== null);
  }

  on_tool_result(line) {
    this.calls.get(line.id)?.answered(line);
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
    delete this.facts.request; // it stands with the error
    const facts = make("dl", "");
    const known = { code: line.code, HTTP: line.status, request: line.request_id };
    for (const [term, value] of Object.entries(known)) if (value != null) facts.append(fact(term, String(value)));
    if (line.mid_stream) facts.append(fact("when", "inside the stream"));
    if (line.retryable) facts.append(fact("again", "may succeed later"));
    const card = make("div", "trouble", make("h3", "", line.kind), make("p", "", line.message));
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", `Error: ${line.kind}`);
    if (line.remedy) card.append(make("p", "remedy", line.remedy));
    if (facts.childElementCount) card.append(facts);
    this.element.append(card);
  }

  /** Nothing more comes. */
  end(note = "") {
    this.element.classList.remove("waiting");
    for (const block of this.blocks.values()) block.close?.();
    for (const call of this.calls.values()) call.left();
    if (note) this.element.append(make("p", "note", note));
    this.showMeasures();
  }

  // ---------------------------------------------------------------------------------------------------------- parts

  key(index) {
    return `${this.round}.${index}`;
  }

  block(index, begin) {
    const key = this.key(index);
    if (!this.blocks.has(key)) this.blocks.set(key, begin());
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
    const began = performance.now();
    markdown.close = () => {
      label.textContent = `Thought for ${((performance.now() - began) / 1000).toFixed(1)} s`;
      markdown.close = undefined;
    };
    return markdown;
  }

  /** A delta came: the rate, as far as deltas can tell it. */
  beat() {
    this.began ??= performance.now();
    this.deltas += 1;
    const seconds = (performance.now() - this.began) / 1000;
    if (seconds > 0.3) this.facts.guess = (this.deltas - 1) / seconds;
    if (this.deltas % 8 === 0) this.showMeasures();
  }

  showMeasures() {
    const { first, rate, guess, stop, route, request } = this.facts;
    const speed = rate != null ? rate.toFixed(0) : guess != null ? `about ${guess.toFixed(0)}` : null;
    const shown = {
      "first token": first == null ? null : `${(first * 1000).toFixed(0)} ms`,
      "tokens/s": speed,
      in: this.usage.input_tokens,
      out: this.usage.output_tokens,
      stop,
      route,
      request,
    };
    this.measures ??= make("dl", "measures");
    this.measures.replaceChildren(
      ...Object.entries(shown).filter(([, value]) => value != null).map(([term, value]) => fact(term, String(value))),
    );
    if (this.measures.childElementCount) this.element.append(this.measures); // always the last
  }
}

/** A tool call: its input while it is written, its state, its result. */
class Call {
  constructor(name) {
    this.state = make("span", "state");
    this.input = make("pre", "input");
    this.result = make("pre", "result");
    const head = make("div", "tool-head", make("code", "", name), this.state);
    this.element = make("section", "tool", head, this.input, this.result);
    this.element.setAttribute("role", "group"); // not a landmark: there may be many of one name
    this.element.setAttribute("aria-label", `Tool call ${name}`);
    this.become("writing", "writing its input");
  }

  add(fragment) {
    this.input.append(make("span", "fragment", fragment));
  }

  asked(sound) {
    if (sound) this.become("running", "running");
    else this.become("failed", "input is no JSON object");
  }

  answered({ status, content }) {
    this.become(status === "error" ? "failed" : "done", status === "error" ? "failed" : "done");
    this.result.textContent = content.map((item) => item.text ?? JSON.stringify(item.value)).join("\n");
  }

  left() {
    if (["writing", "running"].includes(this.state.dataset.state)) this.become("left", "not finished");
  }

  become(state, words) {
    this.state.dataset.state = state;
    this.state.textContent = words;
  }
}
