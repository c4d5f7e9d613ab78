// The figures of a response, and behind a button what few people need: the route and the ids of its requests.

import { fact, make } from "./dom.js";

const COUNTS = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"];

export class Measures {
  constructor() {
    this.usage = {};
    this.facts = {};
    this.requests = [];
    this.deltas = 0;
    this.list = make("dl", "");
    this.details = make("dl", "");
    this.more = make("details", "more", make("summary", "", "Details"), this.details);
    this.more.addEventListener("toggle", () => this.more.open && this.more.scrollIntoView({ block: "nearest" }));
    this.element = make("div", "measures", this.list, this.more);
    this.update();
  }

  beginRound({ model, route, request_id }) {
    // The stop reason is that of the last round: earlier ones stopped to call a tool.
    Object.assign(this.facts, { model, route, stop: null });
    if (request_id) this.requests.push(request_id);
    this.update();
  }

  addUsage(usage) {
    for (const name of COUNTS) if (usage?.[name] != null) this.usage[name] = (this.usage[name] ?? 0) + usage[name];
  }

  addTimes({ first_content, tokens_per_second }) {
    this.facts.first ??= first_content;
    this.facts.rate = tokens_per_second ?? this.facts.rate;
    this.update();
  }

  /** Count a delta and estimate the output rate from it until the service reports token usage. */
  countDelta() {
    this.started ??= performance.now();
    this.deltas += 1;
    const seconds = (performance.now() - this.started) / 1000;
    if (seconds > 0.3) this.facts.estimate = (this.deltas - 1) / seconds;
    if (this.deltas % 8 === 0) this.update();
  }

  set(name, value) {
    this.facts[name] = value;
    this.update();
  }

  update() {
    const { first, rate, estimate, stop, route, model, cost } = this.facts;
    const { input_tokens: input, output_tokens: output, cache_read_tokens: read, cache_write_tokens: written } = this.usage;
    show(this.list, {
      "first token": first == null ? null : `${(first * 1000).toFixed(0)} ms`,
      "tokens/s": rate != null ? rate.toFixed(0) : estimate != null ? `about ${estimate.toFixed(0)}` : null,
      "input tokens": input,
      "output tokens": output,
      "cache read": read || null,
      "cache write": written || null,
      cost: cost == null ? null : formatCost(cost),
      "stop reason": stop,
    });
    const ids = Object.fromEntries(this.requests.map((id, at) => [this.requests.length > 1 ? `request id ${at + 1}` : "request id", id]));
    show(this.details, { model, route, ...ids });
    this.more.hidden = !this.details.childElementCount;
    this.element.hidden = this.more.hidden && !this.list.childElementCount;
  }
}

function show(list, values) {
  const known = Object.entries(values).filter(([, value]) => value != null);
  list.replaceChildren(...known.map(([term, value]) => fact(term, String(value))));
}

/** Format a cost in US dollars with two digits that are not zero. */
export const formatCost = (cost) => `$${cost.toFixed(Math.max(2, Math.min(9, 1 - Math.floor(Math.log10(cost || 1)))))}`;
