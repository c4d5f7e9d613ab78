// Copying text, with a word about it on the button.

const SHOWN = 1500; // milliseconds

export async function copyText(text, button) {
  const label = button.textContent;
  if (button.dataset.copied) return;
  button.dataset.copied = "true";
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => {
    button.textContent = label;
    delete button.dataset.copied;
  }, SHOWN);
}
