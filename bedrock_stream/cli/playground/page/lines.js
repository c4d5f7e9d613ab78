// The lines of an answer, as they arrive.

/** Post a question; yields each line's value. Aborting the signal closes the connection, and with it the stream. */
export async function* ask(question, signal) {
  const response = await fetch("/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal,
  });
  if (!response.ok) {
    yield await refusal(response);
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function refusal(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { type: "error", kind: "Refused", message: text, status: response.status, remedy: "Start the playground again." };
  }
}
