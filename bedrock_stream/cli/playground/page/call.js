// A tool call: its input as it arrives, its state, and its result.

import { make } from "./dom.js";

export class Call {
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
