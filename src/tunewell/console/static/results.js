// The page of results: parameters to the clipboard, and a picture that is dropped to the model.
import { act, say } from "./actions.js";
import { forget, send, settle } from "./sending.js";

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

// A picture for the model: dropped anywhere on the page, or chosen.

const form = () => document.querySelector("[data-drop]");

/** Show how far sending is, in place of nothing. */
function progress(text, share) {
  const place = form().querySelector("[data-sending]");
  if (!text) return place.replaceChildren();
  const bar = Object.assign(document.createElement("progress"), { max: 1 });
  bar.setAttribute("aria-label", "Share that is sent");
  if (share !== undefined) bar.value = share;
  const words = Object.assign(document.createElement("p"), { textContent: text });
  words.setAttribute("role", "status");
  place.replaceChildren(words, bar);
}

let busy = false;

async function predict(file) {
  const target = form();
  if (!target || busy) return;
  if (!file.size) return say("It is empty. Choose another one.", { wrong: true });
  busy = true;
  const chosen = { name: file.name, size: file.size, mark: `${file.lastModified}`, slice: (from, to) => file.slice(from, to) };
  const asked = new FormData(target);
  asked.delete("picture");
  const told = ({ state, sent }) =>
    state === "lost" ? progress("The service can't be reached. It goes on by itself.") : progress(`Sending ${file.name}`, sent / file.size);
  try {
    const id = await send(chosen, { purpose: "pictures", told });
    progress("The model is asked.");
    asked.set("upload", id);
    if (await act(target.dataset.drop, new URLSearchParams(asked))) settle(id);
    else await forget(id);
  } catch (error) {
    say(error.message, { wrong: true });
  }
  progress("");
  target.elements.picture.value = "";
  busy = false;
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-drop] input[type=file]") && target.files.length) predict(target.files[0]);
});

for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    if (!form() || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form().classList.add("over");
  });
}
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || form()?.classList.remove("over"));
addEventListener("drop", (event) => {
  if (!form() || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  form().classList.remove("over");
  const { files } = event.dataTransfer;
  if (files.length > 1) say(`Only ${files[0].name} is sent. Several pictures go as an archive.`);
  if (files.length) predict(files[0]);
});
