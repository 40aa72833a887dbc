// Adding a data set: dropped or chosen, named, sent, unpacked.
import { leave } from "./actions.js";
import { chosen, filesIn, filesOf } from "./chosen.js";
import { Refused, ask, forget, send, settle } from "./sending.js";
import { duration, size } from "./words.js";

const { root } = document.body.dataset;
const panel = document.getElementById("add");
const find = (name) => panel.querySelector(`[data-${name}]`);
const [drop, form, sending, problem] = ["drop", "send", "sending", "problem"].map(find);
const bar = sending.querySelector("progress");
let file, uploading = null, going;

function showOnly(stage) {
  for (const one of [drop, form, sending]) one.hidden = one !== stage;
}

function complain(error) {
  problem.textContent = error.message;
}

// Choosing ---------------------------------------------------------------------------------------------------

function take(files) {
  problem.textContent = "";
  file = chosen(files);
  if (!file) return complain(new Error("There is nothing in it. Choose a folder with pictures, or an archive."));
  if (!file.size) return complain(new Error("There is nothing in it: the file is empty. Choose another one."));
  const what = file.count ? `${file.count.toLocaleString("en").replaceAll(",", "\u202f")} files, ` : "";
  find("what").textContent = `${file.name.replace(/\.tar$/, file.count ? "" : ".tar")}: ${what}${size(file.size)}`;
  form.elements.name.value = file.title.replace(/[^A-Za-z0-9_.\-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 100);
  const task = guess(file.paths);
  if (task && [...form.elements.task.options].some((option) => option.value === task)) form.elements.task.value = task;
  showOnly(form);
  form.elements.name.focus();
}

/** As which task such files are read, as far as their names tell. */
function guess(paths) {
  const marked = (path) => /\.xml$/i.test(path) || /(^|\/)(labels\/.*\.txt|[^/]*(coco|annotations|instances)[^/]*\.json)$/i.test(path);
  return paths.some(marked) ? "object-detection" : "image-classification";
}

for (const input of [find("folder"), find("archive")]) {
  input.addEventListener("change", () => {
    take(filesOf(input));
    input.value = "";
  });
}

// Browsers tell of an empty folder as if nothing had been chosen.
find("folder").addEventListener("cancel", () => complain(new Error("Nothing was chosen, or the folder is empty.")));

for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.toggle("over", !drop.hidden);
  });
}
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || drop.classList.remove("over"));
addEventListener("drop", async (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  drop.classList.remove("over");
  if (uploading) return;
  const title = drop.querySelector("b"), before = title.textContent;
  title.textContent = "Reading …";
  try {
    take(await filesIn(event.dataTransfer));
  } catch {
    complain(new Error("It can't be read. Choose it with a button instead."));
  }
  title.textContent = before;
});
find("cancel").addEventListener("click", () => ((problem.textContent = ""), showOnly(drop)));

// Sending ----------------------------------------------------------------------------------------------------

function show({ state, id, sent, speed }) {
  for (const one of document.querySelectorAll("[data-upload]")) one.hidden = one.dataset.upload === id;
  find("doing").textContent = state === "lost" ? "The service can't be reached. It goes on by itself." : `Sending ${file.name}`;
  if (state === "lost") return;
  bar.value = sent / file.size;
  const left = speed ? `, ${size(speed)}/s, ${duration((file.size - sent) / speed)} left` : "";
  find("figures").textContent = `${size(sent)} of ${size(file.size)}${left}`;
}

/** Send what is chosen, and have a data set made of it; return the upload's id if that is stopped before. */
async function go() {
  const fields = new FormData(form), mine = new AbortController(), { signal } = mine;
  const button = find("pause");
  let upload;
  const told = (news) => {
    upload = news.id ?? upload;
    if (!signal.aborted) show({ ...news, id: upload });
  };
  uploading = mine;
  problem.textContent = "";
  button.textContent = "Pause";
  button.hidden = false;
  showOnly(sending);
  try {
    await refuseTaken(fields.get("name"), signal);
    upload = await send(file, { purpose: "dataset", signal, told });
    find("doing").textContent = "Everything is sent. It is being unpacked.";
    find("figures").textContent = "";
    bar.removeAttribute("value");
    button.hidden = true;
    fields.set("upload", upload);
    const { said, then } = await ask("POST", form.action, { form: new URLSearchParams(fields), signal });
    settle(upload);
    uploading = null;
    leave(then, { text: said });
  } catch (error) {
    if (!signal.aborted) {
      uploading = null;
      await fail(error, upload);
    }
  }
  return upload;
}

async function refuseTaken(name, signal) {
  const { items } = await ask("GET", `${root}/api/v1/datasets?${new URLSearchParams({ search: name, limit: 1000 })}`, { signal });
  if (!items.some((one) => one.name === panel.dataset.owner + name)) return;
  throw new Refused({ field: "name", detail: `A data set named '${name}' exists already.`, remedy: "Choose another name." });
}

async function fail(error, upload) {
  complain(error);
  if (!(error instanceof Refused) || error.field === "name" || error.status === 401) {
    showOnly(form);
    return;
  }
  // What was sent is no data set, and will be none.
  if (upload && error.status === 422) await forget(upload);
  showOnly(drop);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  going = go();
});
find("pause").addEventListener("click", ({ target }) => {
  if (!uploading) return (going = go());
  uploading.abort();
  uploading = null;
  target.textContent = "Go on";
  find("doing").textContent = "Paused. What was sent is kept for a day.";
});
find("stop").addEventListener("click", async () => {
  const last = going;
  uploading?.abort();
  uploading = null;
  showOnly(drop);
  const upload = await last; // it may only now hear which one it is
  if (upload) forget(upload);
});
addEventListener("beforeunload", (event) => uploading && event.preventDefault());
drop.hidden = false;
