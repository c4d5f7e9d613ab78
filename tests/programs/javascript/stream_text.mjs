// Streams answers with the AI SDK and its provider for Bedrock. Prints a line of JSON: what came of each request.
// Arguments: the model, and how many requests to send, one after another.
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { jsonSchema, streamText, tool } from "ai";

const [model, count] = process.argv.slice(2);
const bedrock = createAmazonBedrock({ baseURL: process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME });
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = { get_weather: tool({ description: "The weather of a city", inputSchema: jsonSchema(city) }) };

async function ask() {
  const outcome = { text: "", tools: [], finishReason: null, usage: null, error: null };
  const result = streamText({ model: bedrock(model), prompt: "Hello", tools, maxRetries: 0, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") outcome.text += part.text;
    if (part.type === "tool-call") outcome.tools.push([part.toolName, part.input]);
    if (part.type === "error") outcome.error = part.error.statusCode ?? part.error.name ?? "Error";
    if (part.type === "finish") {
      outcome.finishReason = part.finishReason;
      outcome.usage = [part.totalUsage.inputTokens ?? null, part.totalUsage.outputTokens ?? null];
    }
  }
  return outcome;
}

const outcomes = [];
for (let number = 0; number < Number(count); number++) outcomes.push(await ask());
console.log(JSON.stringify({ outcomes }));
