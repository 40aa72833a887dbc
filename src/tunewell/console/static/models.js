// The page of a model: a picture that is dropped is shown to it at once.
import { say } from "./actions.js";
import { fill } from "./morph.js";

const form = () => document.querySelector("[data-try]");
let shown = "", asking = null;

/** Width and height of a picture, upright; none where the browser can't show it. */
async function sizeOf(address) {
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return {};
  }
}

/** Say in place of the answer that something is going on, or what went wrong. */
function put(text, wrong = false) {
  const words = Object.assign(document.createElement("p"), { textContent: text, className: wrong ? "wrong" : "muted" });
  document.querySelector("[data-answer]").replaceChildren(words);
}

async function ask(file) {
  const target = form();
  if (!target) return;
  asking?.abort();
  const mine = (asking = new AbortController());
  const address = URL.createObjectURL(file);
  const sent = new FormData(target);
  sent.set("picture", file);
  for (const [name, value] of Object.entries(await sizeOf(address))) sent.set(name, value);
  put("The model is asked.");
  try {
    const response = await fetch(target.action, { method: "POST", body: sent, headers: { accept: "application/json" }, signal: mine.signal });
    const { answer, detail, remedy, field } = await response.json();
    if (!response.ok) put([field && `${field}:`, detail, remedy].filter(Boolean).join(" "), true);
    else show(answer, address);
  } catch (error) {
    if (!mine.signal.aborted) put("The service can't be reached just now. Drop it again in a moment.", true);
  }
  if (shown !== address) URL.revokeObjectURL(address);
}

function show(markup, address) {
  const place = document.querySelector("[data-answer]");
  place.replaceChildren();
  fill(place, markup);
  const image = place.querySelector("svg image");
  if (!image) return;
  if (shown) URL.revokeObjectURL(shown);
  image.setAttribute("href", (shown = address));
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-try] input[type=file]") && target.files.length) ask(target.files[0]);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-try]")) return;
  event.preventDefault();
  const [file] = event.target.elements.picture.files;
  if (file) ask(file);
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
  if (files.length > 1) say(`Only ${files[0].name} is shown to it. Drop one after the other.`);
  if (files.length) ask(files[0]);
});
