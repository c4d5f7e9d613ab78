// DOM helpers. No code of this page parses a string as HTML: strings become text nodes.

export const byId = (id) => document.getElementById(id);

/** Create an element with a class and children, which may be in lists. A string child becomes a text node. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  // One by one, since the number of arguments of a call is limited.
  for (const child of children.flat()) element.append(child);
  return element;
}

/** Create a term with its value, for a `dl`. */
export function fact(term, value) {
  return make("div", "", make("dt", "", term), make("dd", "", value));
}

/** Scroll a box to its end. */
export function scrollDown(box) {
  box.scrollTop = box.scrollHeight;
  // Rows that have not been drawn have an estimated height, so the end moves once they are.
  requestAnimationFrame(() => {
    box.scrollTop = box.scrollHeight;
    requestAnimationFrame(() => (box.scrollTop = box.scrollHeight));
  });
}
