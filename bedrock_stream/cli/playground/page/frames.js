// The frame inspector: a row for each frame, which opens to show its contents.

import { byId, make, scrollDown } from "./dom.js";
import { chunkOf, parseJson, payloadOf, rawOf } from "./payloads.js";

const MAX_ROWS = 2000; // the oldest rows are removed first
const OPERATIONS = { converse: "ConverseStream", invoke: "InvokeModelWithResponseStream" };

export class Frames {
  constructor() {
    this.list = byId("frame-list");
    this.clear();
  }

  clear() {
    this.list.replaceChildren();
    this.count = this.bytes = this.broken = 0;
    this.update();
  }

  /** Add a heading for a new request. */
  request(round) {
    this.list.append(make("li", "request", OPERATIONS[round.route] ?? round.route));
  }

  /** Add a frame. Return its row. */
  add(frame) {
    const follow = this.isAtEnd();
    const added = row(frame);
    this.list.append(added);
    if (this.list.childElementCount > MAX_ROWS) this.list.firstElementChild.remove();
    this.count += 1;
    this.bytes += frame.size;
    if (frame.problem) this.broken += 1;
    this.update();
    if (follow) this.scrollToEnd();
    return added;
  }

  update() {
    byId("frame-count").textContent = this.count;
    byId("frames-hint").hidden = this.count > 0;
    const state = this.broken ? `${this.broken} damaged` : "all checksums valid";
    byId("frames-sum").textContent = this.count ? `${this.count} frames, ${formatSize(this.bytes)}, ${state}` : "No frames yet";
  }

  isAtEnd() {
    const box = byId("frames-scroll");
    return box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  }

  scrollToEnd() {
    scrollDown(byId("frames-scroll"));
  }
}

const formatSize = (bytes) => (bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`);

function row(frame) {
  const headers = Object.fromEntries(frame.headers.map((header) => [header.name, header.value]));
  const kind = headers[":exception-type"] ?? headers[":event-type"] ?? headers[":error-code"] ?? "damaged";
  const failed = Boolean(frame.problem) || [":exception-type", ":error-code"].some((name) => name in headers);
  const seal = make("span", "seal", frame.problem ? "✕" : "✓");
  seal.title = frame.problem ? "damaged" : "both checksums valid";
  seal.setAttribute("aria-label", seal.title);
  seal.setAttribute("role", "img");
  const summary = make(
    "summary", "",
    make("span", "number", `#${frame.number}`), make("span", "kind", kind),
    make("span", "said", preview(frame)), make("span", "bytes", `${frame.size} B`), seal,
  );
  const details = make("details", failed ? "frame broken" : "frame", summary);
  // Built when first opened, because a response may have thousands of frames.
  details.addEventListener("toggle", () => details.open && details.append(contents(frame)), { once: true });
  return make("li", "", details);
}

function contents(frame) {
  const body = make("div", "frame-body");
  if (frame.problem) body.append(make("p", "problem", frame.problem));
  body.append(facts(frame));
  if (frame.headers.length) body.append(part("Headers", headersTable(frame)));
  const payload = payloadOf(frame);
  if (payload) for (const [title, text] of payloadSections(payload)) body.append(part(title, pre(text)));
  body.append(part("Bytes", pre(hex(rawOf(frame)))));
  return body;
}

function facts(frame) {
  const list = make("dl", "facts");
  const add = (term, ...value) => list.append(make("dt", "", term), make("dd", "", ...value));
  const inBytes = (length) => (length === null ? "unknown" : `${length} bytes`);
  add("Index", `${frame.number} (request ${frame.round})`);
  add("Offset", `byte ${frame.offset}`);
  add("Total", inBytes(frame.total), frame.total !== null && frame.size < frame.total ? `, ${frame.size} received` : "");
  add("Headers", inBytes(frame.headers_length));
  add("Payload", inBytes(frame.payload_length));
  add("Prelude CRC", ...checksum(frame.prelude_crc));
  add("Message CRC", ...checksum(frame.message_crc));
  return list;
}

function checksum(sum) {
  if (!sum) return ["not received"];
  if (sum.matches) return [sum.received, make("span", "good", "  matches")];
  return [sum.received, make("span", "wrong", `  does not match, computed ${sum.computed}`)];
}

function headersTable(frame) {
  const table = make("table", "headers");
  for (const { name, type, value } of frame.headers) {
    const heading = make("th", "", name);
    heading.scope = "row";
    table.append(make("tr", "", heading, make("td", "", type), make("td", "", value)));
  }
  return table;
}

function part(title, content) {
  return make("section", "", make("h3", "", title), content);
}

function pre(text) {
  const element = make("pre", "", text);
  element.tabIndex = 0;
  return element;
}

/** Return the sections of a payload: its JSON and, for InvokeModel, the chunk inside it. */
function payloadSections(payload) {
  const value = parseJson(payload);
  if (value === undefined) return [["Payload (not JSON)", new TextDecoder().decode(payload)]];
  const sections = [["Payload", JSON.stringify(value, null, 2)]];
  const chunk = chunkOf(value);
  if (chunk !== undefined) sections.push(["Decoded chunk", JSON.stringify(chunk, null, 2)]);
  return sections;
}

/** Return a short excerpt of the payload, for the row of the frame. */
function preview(frame) {
  const value = frame.payload_length && frame.payload_length < 4000 ? parseJson(payloadOf(frame)) : undefined;
  const delta = value?.delta;
  const text = delta?.text ?? delta?.toolUse?.input ?? delta?.reasoningContent?.text ?? value?.stopReason ?? value?.message;
  if (text !== undefined) return JSON.stringify(text);
  return chunkOf(value)?.type ?? "";
}

function hex(bytes) {
  const width = matchMedia("(max-width: 640px)").matches ? 8 : 16;
  const lines = [];
  for (let offset = 0; offset < bytes.length; offset += width) {
    const row = [...bytes.subarray(offset, offset + width)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(width * 3 - 1);
    const readable = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${offset.toString(16).padStart(4, "0")}  ${digits}  ${readable}`);
  }
  return lines.join("\n");
}
