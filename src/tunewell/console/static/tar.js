// A folder as a tar that is never there as a whole: any stretch of it is put together from the files when it is asked for.

/** Bytes of a block; bytes of a file that its header has no room for. */
const BLOCK = 512, LARGE = 8 ** 11;
const encode = new TextEncoder();
const padding = (size) => (BLOCK - (size % BLOCK)) % BLOCK;

/** A tar of files, `[{ path, file }]`: its `size` in bytes, and `slice(from, to)`, which gives a blob. */
export function tarOf(files) {
  let size = 0;
  const entries = files.map(({ path, file }) => {
    const entry = { from: size, path, file };
    size += lengthOf(path, file.size) + file.size + padding(file.size);
    return entry;
  });
  const end = size;
  size += 2 * BLOCK;

  function slice(from, to) {
    const parts = [];
    let at = from;
    const add = (piece, length, begin) => {
      const [first, last] = [Math.max(at, begin) - begin, Math.min(to, begin + length) - begin];
      if (first < last) parts.push(piece.slice(first, last)), (at = begin + last);
    };
    for (let index = lastBefore(entries, from); index < entries.length && at < to; index++) {
      const { from: begin, path, file } = entries[index];
      const head = headOf(path, file.size);
      add(head, head.length, begin);
      add(file, file.size, begin + head.length);
      add(new Uint8Array(padding(file.size)), padding(file.size), begin + head.length + file.size);
    }
    add(new Uint8Array(2 * BLOCK), 2 * BLOCK, end);
    return new Blob(parts);
  }

  return { size, slice };
}

/** Index of the last entry that begins at or before a place. */
function lastBefore(entries, place) {
  let [low, high] = [0, entries.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (entries[middle].from <= place) low = middle;
    else high = middle;
  }
  return low;
}

/** Bytes of what stands before a file; made again when it is needed, for there may be hundreds of thousands. */
const lengthOf = (path, size) => (path.length < 33 && size < LARGE ? BLOCK : headOf(path, size).length);

/** What stands before a file: its header, and before that another one where path or size do not fit into it. */
function headOf(path, size) {
  const name = encode.encode(path);
  const records = [];
  if (name.length > 100) records.push(recordOf("path", path));
  if (size >= LARGE) records.push(recordOf("size", String(size)));
  const own = header(name.subarray(0, 100), Math.min(size, LARGE - 1), "0");
  if (!records.length) return own;
  const facts = encode.encode(records.join(""));
  return joined(header(encode.encode("facts"), facts.length, "x"), facts, new Uint8Array(padding(facts.length)), own);
}

/** `LENGTH KEY=VALUE\n`, where the length is in bytes and counts its own digits. */
function recordOf(key, value) {
  const rest = encode.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function header(name, size, kind) {
  const block = new Uint8Array(BLOCK);
  const put = (text, at) => block.set(encode.encode(text), at);
  const octal = (number, digits) => number.toString(8).padStart(digits, "0");
  block.set(name, 0);
  put("0000644\0" + "0000000\0" + "0000000\0" + octal(size, 11) + "\0" + octal(0, 11) + "\0" + " ".repeat(8) + kind, 100);
  put("ustar\0" + "00", 257);
  put(octal(block.reduce((sum, byte) => sum + byte, 0), 6) + "\0 ", 148);
  return block;
}

function joined(...pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) whole.set(piece, at), (at += piece.length);
  return whole;
}
