// Makes a tar of files, as a service takes it: plain names, no owners, no dates.

/** What is left out of every program, as `.tunewellignore` has it by default. */
const LEFT_OUT = /(^|\/)(\.git|\.hg|\.svn|__pycache__|\.venv|\.tunewell|\.mypy_cache|\.pytest_cache)(\/|$)|\.pyc$/;
const BLOCK = 512;
const text = new TextEncoder();

/** Return the files below dropped entries, with their paths. */
export async function filesOf(entries) {
  const found = [];
  for (const entry of entries) {
    if (LEFT_OUT.test(entry.fullPath)) continue;
    if (entry.isFile) found.push({ path: entry.fullPath.slice(1), file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    else found.push(...(await filesOf(await inside(entry))));
  }
  return found;
}

async function inside(folder) {
  const reader = folder.createReader(), all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

/** Return one blob of files: an archive as it is, or a tar of them, without the folder that they all lie in. */
export async function packed(files) {
  if (files.length === 1 && !files[0].path) return files[0].file;
  const chosen = files.filter(({ path }) => !LEFT_OUT.test(path)), [first] = chosen;
  if (!first) throw new Error("There is no file in it that could be sent.");
  const folder = first.path.slice(0, first.path.indexOf("/") + 1);
  const isShared = folder && chosen.every(({ path }) => path.startsWith(folder));
  const parts = [];
  for (const { path, file } of chosen) {
    const name = isShared ? path.slice(folder.length) : path;
    const mode = (await file.slice(0, 2).text()) === "#!" ? "0000755" : "0000644";
    parts.push(...extended(name), header(name, file.size, { mode }), file, new Uint8Array(-file.size & (BLOCK - 1)));
  }
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}

/** Return a header that gives a long name, or one that is not plain ASCII; else nothing. */
function extended(name) {
  const bytes = text.encode(name).length;
  if (bytes <= 100 && bytes === name.length) return [];
  const body = ` path=${name}\n`, rest = text.encode(body).length;
  let length = rest + 1;
  while (`${length}`.length + rest !== length) length += 1;
  const record = text.encode(`${length}${body}`);
  return [header("PaxHeader", record.length, { kind: "x" }), record, new Uint8Array(-record.length & (BLOCK - 1))];
}

function header(name, size, { kind = "0", mode = "0000644" } = {}) {
  const block = new Uint8Array(BLOCK);
  const put = (place, value) => block.set(text.encode(value), place);
  block.set(text.encode(name).slice(0, 100), 0);
  put(100, `${mode}\0`);
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, kind);
  put(257, "ustar\x0000");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}
