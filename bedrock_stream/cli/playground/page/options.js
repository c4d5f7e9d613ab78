// The options of the next request. Each is shown only where the selected model takes it, as the server's table says.

import { byId } from "./dom.js";

const OTHER = "other";
const EXAMPLE = {
  type: "object",
  properties: {
    city: { type: "string", description: "Name of the city" },
    population: { type: "integer" },
    sights: { type: "array", items: { type: "string" } },
  },
  required: ["city", "population", "sights"],
};
let takes = {};
let asked = ""; // the model whose options were requested last

export async function setUpOptions(models) {
  const select = byId("model");
  for (const { name, id } of models) select.append(new Option(name, id));
  select.append(new Option("Other model", OTHER));
  select.addEventListener("change", () => {
    const other = select.value === OTHER;
    byId("other-model").hidden = !other;
    if (other) byId("model-id").focus();
    loadTakes();
  });
  byId("model-id").addEventListener("change", loadTakes);
  byId("route").addEventListener("change", showFields);
  byId("schema").value = JSON.stringify(EXAMPLE, null, 2);
  byId("schema").addEventListener("input", showSchemaProblem);
  byId("use-schema").addEventListener("change", showFields);
  await loadTakes();
}

const modelId = () => (byId("model").value === OTHER ? byId("model-id").value.trim() : byId("model").value);

async function loadTakes() {
  const model = (asked = modelId());
  if (!model) return;
  const response = await fetch(`/takes?model=${encodeURIComponent(model)}`);
  // A wrong id keeps its options: its request will tell what is wrong with it.
  if (!response.ok || asked !== model) return;
  takes = await response.json();
  showReasoning();
  showFields();
}

function showReasoning() {
  const select = byId("reasoning");
  const before = select.value;
  select.replaceChildren(...takes.reasoning.map(({ value, label }) => new Option(label, value)));
  select.value = takes.reasoning.some(({ value }) => value === before) ? before : "";
  byId("reasoning-field").textContent = `Sent as ${takes.reasoning_field}`;
}

function showFields() {
  const native = [...byId("route").options].find(({ value }) => value === "native");
  native.disabled = !takes.native;
  if (native.disabled && byId("route").value === "native") byId("route").value = "auto";
  const stops = takes.stop_sequences === "yes" || (takes.stop_sequences === "native" && byId("route").value === "native");
  const visible = {
    system: takes.system, temperature: takes.temperature, stop: stops, reasoning: takes.reasoning.length > 0,
    caching: takes.caching, schema: takes.schema, tools: takes.tools,
  };
  for (const [name, isVisible] of Object.entries(visible)) field(name).hidden = !isVisible;
  byId("schema-field").hidden = !isOn("schema", "use-schema");
  byId("tools").disabled = isOn("schema", "use-schema"); // a schema may be sent as a tool, which must be alone
  byId("tools-note").hidden = !byId("tools").disabled;
  if (takes.max_output) byId("max-tokens").max = takes.max_output;
  else byId("max-tokens").removeAttribute("max");
  showSchemaProblem();
}

const field = (name) => document.querySelector(`[data-option="${name}"]`);
const isOn = (name, id) => !field(name).hidden && byId(id).checked;
const shownValue = (name, id) => (field(name).hidden ? "" : byId(id).value);

function readSchema() {
  const schema = JSON.parse(byId("schema").value);
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw new Error("expected a JSON object");
  return schema;
}

/** Show what is wrong with the schema. Return whether it can be sent. */
function showSchemaProblem() {
  const problem = byId("schema-problem");
  problem.textContent = "";
  if (isOn("schema", "use-schema")) {
    try {
      readSchema();
    } catch (error) {
      problem.textContent = `Not a JSON Schema: ${error.message}`;
    }
  }
  byId("schema").setAttribute("aria-invalid", String(problem.textContent !== ""));
  return problem.textContent === "";
}

/** Return the options that are sent with the conversation; null if one of them cannot be sent. */
export function selectedOptions() {
  if (!showSchemaProblem()) return null;
  const limit = byId("max-tokens").valueAsNumber;
  const temperature = field("temperature").hidden ? NaN : byId("temperature").valueAsNumber;
  const schema = isOn("schema", "use-schema") ? readSchema() : null;
  return {
    model: modelId(),
    route: byId("route").value,
    system: shownValue("system", "system"),
    max_tokens: Number.isInteger(limit) ? limit : null,
    temperature: Number.isNaN(temperature) ? null : temperature,
    stop_sequences: shownValue("stop", "stop-sequences").split("\n").filter((line) => line !== ""),
    reasoning: shownValue("reasoning", "reasoning"),
    prompt_cache: isOn("caching", "caching"),
    output_schema: schema,
    tools: schema === null && isOn("tools", "tools"),
  };
}
