// The conversation in the tab's session storage, so that a reload keeps it. Closing the tab forgets it.

const KEY = "conversation";
const TEXTS = { text_delta: "text", reasoning_delta: "text", tool_call_delta: "input_json" };

/** Keep the turns; without space for them, none. */
export function saveTurns(turns) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(turns));
  } catch {
    sessionStorage.removeItem(KEY);
  }
}

export function savedTurns() {
  try {
    const turns = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(turns) ? turns : [];
  } catch {
    return [];
  }
}

/** Add a line to those that are kept: no frames, and pieces of the same block as one. */
export function keepLine(lines, line) {
  if (line.type === "frame") return;
  const last = lines.at(-1);
  const part = TEXTS[line.type];
  if (part && last?.type === line.type && last.index === line.index && line[part] != null && last[part] != null) {
    last[part] += line[part];
  } else if (last?.type === line.type && ["snapshot", "measures"].includes(line.type)) {
    lines[lines.length - 1] = line;
  } else {
    lines.push({ ...line });
  }
}
