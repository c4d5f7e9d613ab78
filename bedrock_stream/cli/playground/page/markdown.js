// Incremental rendering of a Markdown subset to DOM nodes. HTML in the source is never parsed: it becomes text nodes.
// Only http and https links are rendered as links. The time for a source grows with its length: no pattern scans the rest
// of a source from each of its characters, the length of emphasis is limited, and so is the depth of nested blocks.

import { make } from "./dom.js";
import { highlight } from "./highlight.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^(#{1,6})\s/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;
// At most 1000 characters between the marks of code and strong emphasis.
const INLINE =
  /\\([!-/:-@[-`{-~])|(?<!(?<!\\)`)(`+)(?!`)([\s\S]{0,1000}?[^`])\2(?!`)|\[([^\][]*)\]\(<?([^\s()<>]+(?:\([^\s()]*\))?)>?\)|\*\*(?=\S)([\s\S]{0,1000}?\S)\*\*(?!\*)|\*(?![\s*])([^*]*?[^\s*])\*(?!\*)|(?<!\w)__(?=\S)([\s\S]{0,1000}?\S)__(?!\w)|(?<!\w)_(?![\s_])([^_]*?[^\s_])_(?!\w)|(?<!["'(=<])\bhttps?:\/\/[^\s<>"'`)\]]*[^\s<>"'`)\].,;:!?]/g;
const MAX_DEPTH = 16; // of quotes and lists in each other; deeper ones are shown as their source

/** Renderer of a growing source into an element. Blocks whose source is unchanged keep their nodes. */
export class Markdown {
  constructor(element) {
    this.element = element;
    this.source = "";
    this.drawn = [];
    this.scheduled = false;
  }

  add(text) {
    this.source += text;
    if (this.scheduled) return;
    this.scheduled = true;
    // At most once per display frame. A hidden tab draws when it becomes visible again.
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.scheduled = false;
    const sources = blocks(this.source);
    let same = 0;
    while (same < sources.length && sources[same] === this.drawn[same]) same += 1;
    while (this.element.childNodes.length > same) this.element.lastChild.remove();
    for (const source of sources.slice(same)) this.element.append(block(source));
    this.drawn = sources;
  }
}

// ---------------------------------------------------------------------------------------------------------- blocks

/** Split a source into the sources of its blocks. */
export function blocks(source) {
  const lines = source.replace(/\r\n?/g, "\n").split("\n");
  const result = [];
  let at = 0;
  while (at < lines.length) {
    const end = endOfBlock(lines, at);
    if (lines[at].trim()) result.push(lines.slice(at, end).join("\n").trimEnd());
    at = end;
  }
  return result;
}

function endOfBlock(lines, start) {
  const line = lines[start];
  let end = start + 1;
  if (!line.trim() || HEADING.test(line) || isRule(line)) return end;
  const fence = fenceOf(line);
  if (fence) {
    while (end < lines.length && !closes(lines[end], fence.mark)) end += 1;
    return Math.min(end + 1, lines.length);
  }
  if (QUOTE.test(line)) {
    while (end < lines.length && QUOTE.test(lines[end])) end += 1;
    return end;
  }
  if (ITEM.test(line)) return endOfList(lines, start);
  while (end < lines.length && lines[end].trim() && !interrupts(lines[end])) end += 1;
  return end;
}

function endOfList(lines, start) {
  const [, indent, marker] = ITEM.exec(lines[start]);
  const ordered = /\d/.test(marker);
  let end = start + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (!line.trim()) {
      let next = end + 1;
      while (next < lines.length && !lines[next].trim()) next += 1;
      if (next === lines.length || !(isItem(lines[next], ordered) || lines[next].startsWith("  "))) return end;
      end = next - 1;
      continue;
    }
    if (isItem(line, ordered) || depth(line) > indent.length) continue;
    if (interrupts(line) || ITEM.test(line) || !lines[end - 1].trim()) return end;
  }
  return end;
}

const isItem = (line, ordered) => {
  const item = ITEM.exec(line);
  return item !== null && !isRule(line) && /\d/.test(item[2]) === ordered;
};
const depth = (line) => line.length - line.trimStart().length;
const interrupts = (line) => HEADING.test(line) || fenceOf(line) !== null || QUOTE.test(line) || isRule(line) || /^ {0,3}[-*+] \S/.test(line) || /^ {0,3}1[.)] \S/.test(line);

/** Return whether a line consists of three or more of one mark, with spaces anywhere. */
function isRule(line) {
  const mark = line[depth(line)];
  if (depth(line) > 3 || !["-", "*", "_"].includes(mark)) return false;
  let count = 0;
  for (const character of line) {
    if (character === mark) count += 1;
    else if (character !== " ") return false;
  }
  return count >= 3;
}

/** Return the mark and the language of the line that opens a code block, or null. */
function fenceOf(line) {
  const start = FENCE.exec(line);
  if (start === null) return null;
  const rest = line.slice(start[0].length);
  if (rest.includes("`")) return null;
  return { mark: start[1], language: /^[\w+#.-]*/.exec(rest.trimStart())[0] };
}

function closes(line, mark) {
  const text = line.trim();
  return depth(line) <= 3 && text.length >= mark.length && text === mark[0].repeat(text.length);
}

function block(source, level = 0) {
  const lines = source.split("\n");
  const heading = lines.length === 1 && HEADING.exec(source);
  if (heading) return make(`h${heading[1].length}`, "", inline(headingText(source.slice(heading[1].length))));
  if (lines.length === 1 && isRule(source)) return make("hr");
  const fence = fenceOf(lines[0]);
  if (fence) return code(lines, fence);
  if (level < MAX_DEPTH) {
    if (QUOTE.test(source)) return make("blockquote", "", blocks(lines.map((line) => line.replace(QUOTE, "")).join("\n")).map((part) => block(part, level + 1)));
    if (ITEM.test(source)) return list(lines, level);
  }
  if (lines.length > 1 && lines[0].includes("|") && isTableRule(lines[1])) return table(lines);
  return make("p", "", inline(source));
}

/** Return the text of a heading without the marks that may close it. */
function headingText(text) {
  let end = text.trimEnd().length;
  while (text[end - 1] === "#") end -= 1;
  return text.slice(0, end).trim();
}

function code(lines, fence) {
  const closed = lines.length > 1 && closes(lines.at(-1), fence.mark);
  const inner = make("code", "", highlight(lines.slice(1, closed ? -1 : undefined).join("\n"), fence.language));
  const outer = make("pre", "", inner);
  if (fence.language) outer.dataset.language = fence.language; // shown by the style sheet
  return scrolling(outer, fence.language ? `Code, ${fence.language}` : "Code");
}

/** Make an element that may be wider than the page focusable for keyboard scrolling, and name it. */
function scrolling(element, name) {
  element.tabIndex = 0;
  element.setAttribute("role", "group"); // not a landmark, because several may have the same name
  element.setAttribute("aria-label", name);
  return element;
}

function list(lines, level) {
  const [, indent, marker] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(marker);
  const element = make(ordered ? "ol" : "ul");
  if (ordered && parseInt(marker, 10) !== 1) element.start = parseInt(marker, 10);
  const items = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && item[1].length <= indent.length + 1 && isItem(line, ordered)) items.push([line.slice(item[0].length)]);
    else items.at(-1).push(line);
  }
  for (const [first, ...rest] of items) {
    const least = rest.reduce((least, line) => (line.trim() ? Math.min(least, depth(line)) : least), Infinity);
    const inner = [first, ...rest.map((line) => line.slice(Math.min(least, depth(line))))].join("\n");
    const parts = blocks(inner);
    const tight = parts.map((part, index) => (index === 0 && !special(part) ? make("span", "", inline(part)) : block(part, level + 1)));
    element.append(make("li", "", tight));
  }
  return element;
}

const special = (source) => interrupts(source.split("\n", 1)[0]) || ITEM.test(source);

function table(lines) {
  const sides = cells(lines[1]).map((cell) => (/^:-+:$/.test(cell) ? "center" : cell.endsWith("-:") ? "right" : ""));
  // Short rows are filled up, unless many rows below a wide head would become far more cells than there is source.
  const fill = lines.length * sides.length <= 10_000 ? sides.map(() => "") : [];
  const row = (line, tag) => {
    const found = cells(line).slice(0, sides.length);
    return make("tr", "", [...found, ...fill.slice(found.length)].map((cell, at) => make(tag, sides[at], inline(cell))));
  };
  const head = make("thead", "", row(lines[0], "th"));
  const body = make("tbody", "", lines.slice(2).map((line) => row(line, "td")));
  return scrolling(make("div", "table", make("table", "", head, body)), "Table");
}

const isTableRule = (line) => cells(line).every((cell) => /^:?-+:?$/.test(cell));
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

// ---------------------------------------------------------------------------------------------------------- inline

/** Return the nodes of inline text. */
export function inline(source) {
  const nodes = [];
  let at = 0;
  for (const match of source.matchAll(INLINE)) {
    if (match.index > at) nodes.push(source.slice(at, match.index));
    nodes.push(span(match));
    at = match.index + match[0].length;
  }
  if (at < source.length) nodes.push(source.slice(at));
  return nodes;
}

function span(match) {
  const [full, escaped, ticks, codeText, label, target, strong, em, strong2, em2] = match;
  if (escaped !== undefined) return escaped;
  if (ticks !== undefined) return make("code", "", codeText.replace(/^ (.*) $/s, "$1"));
  if (target !== undefined) return link(target, inline(label), full);
  if (strong !== undefined || strong2 !== undefined) return make("strong", "", inline(strong ?? strong2));
  if (em !== undefined || em2 !== undefined) return make("em", "", inline(em ?? em2));
  return link(full, [full], full);
}

function link(target, children, full) {
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return full;
  const element = make("a", "", children);
  element.href = target;
  element.rel = "noopener noreferrer nofollow";
  element.target = "_blank";
  return element;
}
