// Where requests go, and the suggested prompts: on the empty page, and later above the prompt.

import { byId, make } from "./dom.js";

export function showPlace({ place, region }) {
  const badge = byId("place");
  const onAws = place === "aws";
  badge.dataset.place = place;
  badge.title = onAws ? `Requests go to AWS in ${region} and are billed` : "Requests go to an emulator on this machine";
  badge.replaceChildren(
    make("span", "long", onAws ? `AWS ${region} (billed)` : "Local emulator"),
    make("span", "short", onAws ? "AWS (billed)" : "Emulator"),
  );
  byId("welcome-about").textContent = onAws
    ? `Requests go to Amazon Bedrock in ${region} and are billed to your account. Every frame of a response can be inspected.`
    : "Requests go to an emulator of Amazon Bedrock on this machine: no account, no cost. The responses are scripted. Request signing, HTTP, binary frames and decoding are real.";
}

export function setUpStarters(starters, send) {
  for (const { title, about, prompt } of starters) {
    byId("starters").append(make("li", "", button("starter", prompt, make("b", "", title), make("span", "", about))));
    byId("examples").append(make("li", "", button("chip", prompt, title)));
  }
  function button(className, prompt, ...children) {
    const element = make("button", className, ...children);
    element.type = "button";
    element.addEventListener("click", () => send(prompt));
    return element;
  }
}

/** Show the welcome of an empty conversation, or else the examples above the prompt. */
export function showWelcome(isEmpty) {
  byId("welcome").hidden = !isEmpty;
  byId("examples").hidden = isEmpty || !byId("examples").childElementCount;
}
