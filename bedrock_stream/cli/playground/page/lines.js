// The lines of a streamed response, as they arrive.

/** Post a question and yield the value of each line. Aborting the signal closes the connection, and so the stream. */
export async function* ask(question, signal) {
  const response = await fetch("/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal,
  });
  if (!response.ok) {
    yield await errorLine(response);
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = ""; // the start of a line whose end has not been received
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function errorLine(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { type: "error", kind: "RequestRejected", message: text, status: response.status, remedy: "Restart the playground." };
  }
}
