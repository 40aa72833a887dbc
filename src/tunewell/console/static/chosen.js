// What somebody has dropped or chosen, as one file to be sent: an archive as it is, anything else packed as a tar.
import { tarOf } from "./tar.js";

const ARCHIVE = /\.(zip|tar|tgz|tar\.(gz|bz2|xz)|gz|bz2|xz)$/i;
/** What systems leave in folders, and nobody means. */
const LEFT_OUT = /(^|\/)(\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(\/|$)/;

/** What was dropped, as `[{ path, file }]`: folders with all that is in them. */
export async function filesIn(transfer) {
  // All of it is asked for before the first wait: afterwards it is gone.
  const dropped = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  const found = [];
  for (const one of dropped) {
    if (one instanceof File) found.push({ path: one.name, file: one });
    else await walk(one, "", found);
  }
  return found;
}

async function walk(entry, above, found) {
  const path = above + entry.name;
  if (LEFT_OUT.test(path)) return;
  if (entry.isFile) {
    found.push({ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    await Promise.all(some.map((one) => walk(one, `${path}/`, found)));
  }
}

/** What an input holds, as `[{ path, file }]`. */
export function filesOf(input) {
  return [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** One file to be sent: `{ title, name, size, slice, mark, count, kinds }`; null: there is nothing in it. */
export function chosen(files) {
  const kept = files.filter(({ path }) => !LEFT_OUT.test(path));
  kept.sort((one, other) => (one.path < other.path ? -1 : 1));
  if (!kept.length) return null;
  const mark = markOf(kept.map(({ path, file }) => `${path}\0${file.size}\0${file.lastModified}`).join("\n"));
  const [{ path, file }] = kept;
  if (kept.length === 1 && !path.includes("/") && ARCHIVE.test(path)) {
    const slice = (from, to) => file.slice(from, to);
    return { title: path.replace(ARCHIVE, ""), name: path, size: file.size, slice, mark, count: 0, paths: [] };
  }
  const [top] = path.split("/");
  const folder = kept.every((one) => one.path.startsWith(`${top}/`)) ? top : "";
  const inside = folder ? kept.map((one) => ({ ...one, path: one.path.slice(top.length + 1) })) : kept;
  const title = folder || "pictures";
  return { title, name: `${title}.tar`, ...tarOf(inside), mark, count: kept.length, paths: inside.map((one) => one.path) };
}

/** A number by which the same files are known again: their names, sizes and dates, not what is in them (FNV-1a, twice). */
function markOf(text) {
  let [one, other] = [0x811c9dc5, 0x1234567];
  for (let index = 0; index < text.length; index++) {
    one = Math.imul(one ^ text.charCodeAt(index), 0x01000193);
    other = Math.imul(other ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return (one >>> 0).toString(16).padStart(8, "0") + (other >>> 0).toString(16).padStart(8, "0");
}
