// The inspector: a row for each frame, and its inside when it is opened.

import { byId, make } from "./dom.js";

const KEPT = 2000; // rows; the oldest go first
const utf8 = new TextDecoder("utf-8", { fatal: true });

export class Frames {
  constructor() {
    this.list = byId("frame-list");
    this.clear();
  }

  clear() {
    this.list.replaceChildren();
    this.count = this.bytes = this.broken = 0;
    this.told();
  }

  /** A request begins. */
  request(round) {
    const row = make("li", "request", `${round.route === "converse" ? "ConverseStream" : "InvokeModelWithResponseStream"}`);
    row.append(make("span", "", round.request_id ?? ""));
    this.list.append(row);
  }

  add(frame) {
    const follows = this.atEnd();
    this.list.append(row(frame));
    if (this.list.childElementCount > KEPT) this.list.firstElementChild.remove();
    this.count += 1;
    this.bytes += frame.size;
    if (frame.problem) this.broken += 1;
    this.told();
    if (follows) this.toEnd();
  }

  told() {
    byId("frame-count").textContent = this.count;
    byId("frames-hint").hidden = this.count > 0;
    const state = this.broken ? `${this.broken} damaged` : "all checksums match";
    byId("frames-sum").textContent = this.count ? `${this.count} frames, ${sized(this.bytes)}, ${state}` : "none yet";
  }

  atEnd() {
    const box = byId("frames-scroll");
    return box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  }

  toEnd() {
    const box = byId("frames-scroll");
    box.scrollTop = box.scrollHeight;
  }
}

const sized = (bytes) => (bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`);

function row(frame) {
  const headers = Object.fromEntries(frame.headers.map((header) => [header.name, header.value]));
  const kind = headers[":exception-type"] ?? headers[":event-type"] ?? headers[":error-code"] ?? "damaged";
  const bad = Boolean(frame.problem) || [":exception-type", ":error-code"].some((name) => name in headers);
  const seal = make("span", "seal", frame.problem ? "✕" : "✓");
  seal.title = frame.problem ? "damaged" : "both checksums match";
  seal.setAttribute("aria-label", seal.title);
  seal.setAttribute("role", "img");
  const summary = make(
    "summary", "",
    make("span", "number", `#${frame.number}`), make("span", "kind", kind),
    make("span", "said", said(frame)), make("span", "bytes", `${frame.size} B`), seal,
  );
  const details = make("details", bad ? "frame broken" : "frame", summary);
  // Built when it is looked at: an answer may have thousands.
  details.addEventListener("toggle", () => details.open && details.append(inside(frame)), { once: true });
  return make("li", "", details);
}

function inside(frame) {
  const body = make("div", "frame-body");
  if (frame.problem) body.append(make("p", "problem", frame.problem));
  body.append(facts(frame));
  if (frame.headers.length) body.append(part("Headers", headersTable(frame)));
  const payload = payloadOf(frame);
  if (payload) for (const [title, text] of pretty(payload)) body.append(part(title, pre(text)));
  body.append(part("Bytes", pre(hex(rawOf(frame)))));
  return body;
}

function facts(frame) {
  const list = make("dl", "facts");
  const add = (term, ...value) => list.append(make("dt", "", term), make("dd", "", ...value));
  const known = (length) => (length === null ? "unknown" : `${length} bytes`);
  add("Index", `${frame.number}, of request ${frame.round}`);
  add("Begins at", `byte ${frame.offset}`);
  add("Total", known(frame.total), frame.total !== null && frame.size < frame.total ? `, ${frame.size} came` : "");
  add("Headers", known(frame.headers_length));
  add("Payload", known(frame.payload_length));
  add("Prelude CRC", ...checksum(frame.prelude_crc));
  add("Message CRC", ...checksum(frame.message_crc));
  return list;
}

function checksum(sum) {
  if (!sum) return ["never came"];
  if (sum.matches) return [sum.received, make("span", "good", "  matches")];
  return [sum.received, make("span", "wrong", `  computed ${sum.computed}, no match`)];
}

function headersTable(frame) {
  const table = make("table", "headers");
  for (const { name, type, value } of frame.headers) {
    const named = make("th", "", name);
    named.scope = "row";
    table.append(make("tr", "", named, make("td", "", type), make("td", "", value)));
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

// ---------------------------------------------------------------------------------------------------------- payloads

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const rawOf = (frame) => bytesOf(frame.raw);

function payloadOf(frame) {
  if (!frame.payload_length) return null;
  const begin = 12 + frame.headers_length;
  return rawOf(frame).subarray(begin, begin + frame.payload_length);
}

function parsed(bytes) {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

/** The payload, and what a native chunk carries inside it. */
function pretty(payload) {
  const value = parsed(payload);
  if (value === undefined) return [["Payload, no JSON", new TextDecoder().decode(payload)]];
  const shown = [["Payload", JSON.stringify(value, null, 2)]];
  const chunk = chunkOf(value);
  if (chunk !== undefined) shown.push(["The chunk inside", JSON.stringify(chunk, null, 2)]);
  return shown;
}

function chunkOf(value) {
  if (typeof value?.bytes !== "string") return undefined;
  try {
    return parsed(bytesOf(value.bytes));
  } catch {
    return undefined;
  }
}

/** A few words of what the frame says, for its row. */
function said(frame) {
  const value = frame.payload_length && frame.payload_length < 4000 ? parsed(payloadOf(frame)) : undefined;
  const delta = value?.delta;
  const text = delta?.text ?? delta?.toolUse?.input ?? delta?.reasoningContent?.text ?? value?.stopReason ?? value?.message;
  if (text !== undefined) return JSON.stringify(text);
  return chunkOf(value)?.type ?? "";
}

function hex(bytes) {
  const width = matchMedia("(max-width: 640px)").matches ? 8 : 16;
  const lines = [];
  for (let at = 0; at < bytes.length; at += width) {
    const row = [...bytes.subarray(at, at + width)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(width * 3 - 1);
    const readable = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${digits}  ${readable}`);
  }
  return lines.join("\n");
}
