// Streams answers with AWS's SDK and its default HTTP handler. Prints a line of JSON: what came of each request.
// Arguments: the model, and how many requests to send at once, after a first one.
import { BedrockRuntimeClient, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";

const [model, count] = process.argv.slice(2);
const client = new BedrockRuntimeClient({ maxAttempts: 1 });

async function ask(prompt) {
  const outcome = { text: "", stopReason: null, usage: null, error: null };
  try {
    const messages = [{ role: "user", content: [{ text: prompt }] }];
    const answer = await client.send(new ConverseStreamCommand({ modelId: model, messages }));
    for await (const event of answer.stream) {
      outcome.text += event.contentBlockDelta?.delta.text ?? "";
      outcome.stopReason = event.messageStop?.stopReason ?? outcome.stopReason;
      outcome.usage = event.metadata?.usage ?? outcome.usage;
    }
  } catch (error) {
    outcome.error = error.name;
  }
  return outcome;
}

const first = await ask("Hello");
const rest = await Promise.all(Array.from({ length: Number(count) }, (_, number) => ask(`Hello ${number}`)));
client.destroy();
console.log(JSON.stringify({ handler: client.config.requestHandler.constructor.name, outcomes: [first, ...rest] }));
