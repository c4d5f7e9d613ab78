// The payload of a frame: its bytes, its JSON, and for InvokeModel the chunk inside it.

const utf8 = new TextDecoder("utf-8", { fatal: true });

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
export const rawOf = (frame) => bytesOf(frame.raw);

export function payloadOf(frame) {
  if (!frame.payload_length) return null;
  const start = 12 + frame.headers_length; // after the prelude and its checksum
  return rawOf(frame).subarray(start, start + frame.payload_length);
}

export function parseJson(bytes) {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

/** Parse the chunk of an InvokeModel payload: base64 in the member `bytes`. */
export function chunkOf(value) {
  if (typeof value?.bytes !== "string") return undefined;
  try {
    return parseJson(bytesOf(value.bytes));
  } catch {
    return undefined;
  }
}

/** Return the names of a frame's event: that of its header, and for InvokeModel the type of its chunk. */
export function describe(frame) {
  const headers = Object.fromEntries(frame.headers.map(({ name, value }) => [name, value]));
  const value = frame.payload_length ? parseJson(payloadOf(frame)) : undefined;
  const chunk = chunkOf(value);
  return { kinds: [headers[":event-type"], chunk?.type], texts: new Set(strings(chunk ?? value)) };
}

function* strings(value) {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null) for (const member of Object.values(value)) yield* strings(member);
}
