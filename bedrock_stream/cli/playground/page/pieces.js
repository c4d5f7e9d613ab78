// The text of a response in the pieces in which it was received; each leads to the frame that carried it.

import { make } from "./dom.js";

export class Pieces {
  /** `openFrame` shows the row of a frame. */
  constructor(openFrame) {
    this.openFrame = openFrame;
    this.pieces = [];
  }

  add(text, frame, round) {
    if (this.pieces.length && this.round !== round) this.pieces.push({ text: "\n\n", frame: null });
    this.round = round;
    this.pieces.push({ text, frame });
  }

  /** Show or hide the pieces behind `button`, in front of the actions that it is one of. */
  toggle(button) {
    const visible = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(visible));
    if (!visible) {
      this.element.remove();
      return;
    }
    // Built when it is opened, because a response may have thousands of pieces.
    this.element = make("div", "pieces", this.pieces.map((piece) => this.draw(piece)));
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Pieces of the text");
    button.parentElement.before(this.element);
  }

  draw({ text, frame }) {
    if (!frame) return make("span", "piece", text);
    const button = make("button", "piece", text);
    button.type = "button";
    button.title = `Frame #${frame.number}`;
    button.addEventListener("click", () => this.openFrame(frame.row));
    return button;
  }
}
