// A structured answer as a form that fills while the answer is received.

import { make } from "./dom.js";

const MAX_DEPTH = 6; // deeper values are shown as JSON

export class SchemaForm {
  constructor(schema) {
    this.schema = schema;
    this.value = {};
    this.state = make("span", "state", "filling");
    this.fields = make("div", "form-fields");
    this.source = make("pre", "");
    this.source.tabIndex = 0;
    const json = make("details", "form-json", make("summary", "", "JSON"), this.source);
    this.element = make("section", "form", make("div", "tool-head", make("b", "", "Structured output"), this.state), this.fields, json);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Structured output");
    this.draw();
  }

  /** Add a piece of the JSON as it was received. */
  add(text) {
    this.source.append(text);
  }

  fill({ value, complete }) {
    this.value = value;
    this.complete = complete;
    this.draw();
  }

  finish() {
    this.state.dataset.state = this.complete ? "done" : "failed";
    this.state.textContent = this.complete ? "matches the schema" : "not complete";
  }

  draw() {
    this.fields.replaceChildren(...fields(this.value, this.schema, 0));
  }
}

/** Return the fields of an object: those of its schema, empty ones included, and others that it has. */
function fields(value, schema, depth) {
  const known = schema?.properties ?? {};
  const names = new Set([...Object.keys(known), ...Object.keys(value ?? {})]);
  return [...names].map((name) => field(name, own(value, name), own(known, name), depth));
}

const own = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

function field(name, value, schema, depth) {
  const nested = Array.isArray(value) || (typeof value === "object" && value !== null) || schema?.properties;
  if (nested && depth < MAX_DEPTH) {
    const items = Array.isArray(value)
      ? value.map((item, at) => field(String(at + 1), item, schema?.items, depth + 1))
      : fields(value, schema, depth + 1);
    return make("fieldset", "", make("legend", "", name), items);
  }
  return make("label", "", make("span", "", name), control(value));
}

function control(value) {
  if (typeof value === "boolean") {
    const box = make("input");
    box.type = "checkbox";
    box.checked = value;
    box.disabled = true;
    return box;
  }
  const area = make("textarea");
  area.readOnly = true;
  area.rows = 1;
  area.value = value == null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return area;
}
