// The conversation as a file: JSON with everything that is known, or Markdown to read.

import { byId, make } from "./dom.js";

export function setUpExport(conversation) {
  const menu = byId("export-menu");
  const wire = (id, name, type, write) =>
    byId(id).addEventListener("click", () => {
      menu.hidePopover();
      download(name, type, write(conversation.turns));
    });
  wire("export-json", "conversation.json", "application/json", toJson);
  wire("export-markdown", "conversation.md", "text/markdown", toMarkdown);
}

function download(name, type, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function toJson(turns) {
  return JSON.stringify({ messages: turns.flatMap(({ message, added }) => (added ? [message, ...added] : [])), turns: turns.map(summary) }, null, 2);
}

function summary({ options, message, lines, added, stopped }) {
  const of = (type) => lines.filter((line) => line.type === type);
  const error = of("error")[0];
  return {
    options,
    message,
    answer: added ?? [],
    stop_reason: stopped ? "stopped" : (of("message_stop").at(-1)?.stop_reason ?? null),
    usage: of("metadata").map(({ usage }) => usage),
    cost: of("done")[0]?.cost ?? null,
    requests: of("round").map(({ route, request_id }) => ({ route, request_id })),
    ...(error && { error: { kind: error.kind, message: error.message } }),
  };
}

export function toMarkdown(turns) {
  return turns.map(({ message, lines, stopped }) => `## You\n\n${message.content[0].text}\n\n## Model\n\n${answer(lines, stopped)}\n`).join("\n");
}

function answer(lines, stopped) {
  const parts = lines.map(part).filter((text) => text);
  if (stopped) parts.push("*Stopped.*");
  return parts.join("\n\n");
}

function part(line) {
  if (line.type === "text_delta") return line.text;
  if (line.type === "reasoning_delta" && line.text) return line.text.replace(/^/gm, "> ");
  if (line.type === "tool_call_end") return fenced(`${line.name} ${line.raw ?? JSON.stringify(line.input)}`, "");
  if (line.type === "tool_result") return fenced(line.content.map((item) => item.text ?? JSON.stringify(item.value)).join("\n"), "json");
  if (line.type === "error") return `**${line.kind}:** ${line.message}`;
  return "";
}

/** Put text into a code block whose marks are longer than any in it. */
function fenced(text, language) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([marks]) => marks.length));
  const mark = "`".repeat(longest + 1);
  return `${mark}${language}\n${text}\n${mark}`;
}
