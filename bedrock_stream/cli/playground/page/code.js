// "Show code": the program and the request that reproduce a response, as the server writes them.

import { copyText } from "./clipboard.js";
import { byId } from "./dom.js";
import { highlight } from "./highlight.js";
import { setUpTabs } from "./tabs.js";

const VIEWS = { "code-python": "python", "code-request": "json" };

export function setUpCode() {
  setUpTabs(byId("code-tabs"));
  byId("close-code").addEventListener("click", () => byId("code").close());
  byId("copy-code").addEventListener("click", () => {
    const id = Object.keys(VIEWS).find((name) => !byId(name).hidden);
    copyText(byId(id).textContent, byId("copy-code"));
  });
}

/** Open the code of a question. */
export async function showCode(question) {
  const dialog = byId("code");
  for (const id of Object.keys(VIEWS)) byId(id).textContent = "Loading…";
  dialog.showModal();
  let view;
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("/code", { method: "POST", headers, body: JSON.stringify(question) });
    view = await response.json();
    if (!response.ok) throw new Error([view.message, view.remedy].filter(Boolean).join("; "));
  } catch (error) {
    for (const id of Object.keys(VIEWS)) byId(id).textContent = `There is no code for this question: ${error.message}`;
    return;
  }
  byId("code-python").replaceChildren(...highlight(view.python, "python"));
  byId("code-request").replaceChildren(...highlight(JSON.stringify(view.request, null, 2), "json"));
}
