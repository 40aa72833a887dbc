// The page of results: parameters to the clipboard, and a picture that is dropped to the model.
import { act, say } from "./actions.js";

document.addEventListener("click", async ({ target }) => {
  const source = document.getElementById(target.closest("[data-copies]")?.dataset.copies);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
    say("Copied.");
  } catch {
    // Over plain HTTP in a network there is no clipboard for scripts, but there is a key.
    getSelection().selectAllChildren(source);
    source.focus();
    say("It is selected: copy it with Ctrl+C, or ⌘C.");
  }
});
