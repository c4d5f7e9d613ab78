// What a screen reader hears of an answer: whole sentences, a few at a time, so that it is never flooded.

import { byId } from "./dom.js";

const APART = 2500; // milliseconds

export class Announcer {
  constructor() {
    this.region = byId("announcer");
    this.waiting = "";
    this.last = 0;
  }

  add(text) {
    this.waiting += text;
    if (performance.now() - this.last < APART) return;
    const end = Math.max(...[". ", "? ", "! ", ".\n", ":\n", "\n\n"].map((mark) => this.waiting.lastIndexOf(mark)));
    if (end < 0) return;
    this.say(this.waiting.slice(0, end + 1));
    this.waiting = this.waiting.slice(end + 1);
  }

  /** Say the rest, and something about it. */
  end(about) {
    this.say(`${this.waiting.trim()} ${about}`.trim());
    this.waiting = "";
  }

  say(text) {
    this.last = performance.now();
    this.region.textContent = text;
  }
}
