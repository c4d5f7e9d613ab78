// Screen reader announcements of a response: complete sentences, at intervals, because single tokens are unusable.

import { byId } from "./dom.js";

const INTERVAL = 2500; // milliseconds

export class Announcer {
  constructor() {
    this.region = byId("announcer");
    this.pending = "";
    this.last = 0;
  }

  add(text) {
    this.pending += text;
    if (performance.now() - this.last < INTERVAL) return;
    const end = Math.max(...[". ", "? ", "! ", ".\n", ":\n", "\n\n"].map((mark) => this.pending.lastIndexOf(mark)));
    if (end < 0) return;
    this.announce(this.pending.slice(0, end + 1));
    this.pending = this.pending.slice(end + 1);
  }

  /** Announce the remaining text and the outcome of the response. */
  end(outcome) {
    this.announce(`${this.pending.trim()} ${outcome}`.trim());
    this.pending = "";
  }

  announce(text) {
    this.last = performance.now();
    this.region.textContent = text;
  }
}
