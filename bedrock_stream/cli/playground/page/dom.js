// Elements made of text: nothing here, or anywhere on this page, reads a string as markup.

export const byId = (id) => document.getElementById(id);

/** An element with a class and children; a string child is text. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** A term and its value, for a `dl`. */
export function fact(term, value) {
  return make("div", "", make("dt", "", term), make("dd", "", value));
}
