// The inspector: the events and the frames of the responses, on two tabs.

import { byId } from "./dom.js";
import { Events } from "./events.js";
import { Frames } from "./frames.js";
import { showPanel } from "./panels.js";
import { selectTab, setUpTabs } from "./tabs.js";

export class Inspector {
  constructor() {
    this.frames = new Frames();
    this.events = new Events((row) => this.openFrame(row));
    setUpTabs(byId("inspector-tabs"), () => this.scrollToEnd());
  }

  /** Add a line. Return the frame that an event was decoded from, if it is known. */
  add(line) {
    if (line.type === "frame") {
      this.events.addFrame(line, this.frames.add(line));
      return null;
    }
    if (line.type === "round") {
      this.frames.request(line);
      this.events.request();
    }
    return this.events.add(line);
  }

  clear() {
    this.frames.clear();
    this.events.clear();
  }

  /** Show the newest of the visible list. */
  scrollToEnd() {
    this.frames.scrollToEnd();
    this.events.scrollToEnd();
  }

  /** Show a frame: its row is opened on its tab. */
  openFrame(row) {
    showPanel("frames", true, true);
    selectTab(byId("tab-frames"));
    const details = row.firstElementChild;
    details.open = true;
    details.querySelector("summary").focus();
    row.scrollIntoView({ block: "start" });
  }
}
