// Keeps the end of a box in view while the box or its content changes, until the reader scrolls up.

const SLACK = 80; // pixels from the end that still count as the end

export class Follower {
  constructor(box) {
    this.box = box;
    this.follows = true;
    this.top = 0; // where the box was scrolled to
    box.addEventListener("scroll", () => this.scrolled());
    new ResizeObserver(() => this.follow()).observe(box); // a growing prompt or a panel shrinks it
  }

  /** Scroll to the end, and follow it from now on. */
  toEnd() {
    this.follows = true;
    this.follow();
  }

  /** Scroll to the end, unless the reader has scrolled up. */
  follow() {
    requestAnimationFrame(() => {
      if (this.follows) this.box.scrollTop = this.box.scrollHeight;
    });
  }

  // The event of a scroll to the end may come after more content was added: only the reader scrolls up.
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    if (scrollHeight - scrollTop - clientHeight < SLACK) this.follows = true;
    else if (scrollTop < this.top) this.follows = false;
    this.top = scrollTop;
  }
}
