// A log of any length, read by parts. Of what was read, a few megabytes are kept.
//
// It consists of sections: section k begins behind the first line end in the k-th 16 KiB. So a section is a number of
// whole lines, where it begins is found without reading what comes before, and a line without end is cut into pieces.
import { PLAIN, parse } from "./terminal.js";

/** Bytes that a section has, about; that are asked for at once; and parts of the log that are kept. */
export const BLOCK = 1 << 14;
const CHUNK = 1 << 18, KEPT = 32;
const NOTHING = new Uint8Array();
const LINE_END = 10, RETURN = 13;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Source {
  #address;
  #chunks = new Map();
  /** Bytes that there are; whether no more will come; whether there is a log at all. */
  size = 0;
  ended = false;
  exists = true;

  constructor(address) {
    this.#address = address;
  }

  get sections() {
    return Math.ceil(this.size / BLOCK);
  }

  /** Find out how long the log is by now; return whether it has grown. */
  async look(signal) {
    const address = new URL(this.#address, location);
    address.searchParams.set("offset", this.size);
    address.searchParams.set("limit", 1);
    const response = await fetch(address, { headers: { accept: "application/json" }, signal });
    if (!response.ok) throw new Error(`${response.status}`);
    const { size_bytes: size, ended, exists } = await response.json();
    const before = this.size;
    Object.assign(this, { size: Math.max(size, before), ended, exists });
    return this.size > before;
  }

  /** Return the text of a section as it was printed. */
  async text(section) {
    return decoder.decode(await this.#bytes(await this.#begin(section), await this.#begin(section + 1)));
  }

  /** Return the runs of a section, in the colours that the section before has left. */
  async runs(section) {
    const style = section ? parse(await this.text(section - 1)).style : PLAIN;
    return parse(await this.text(section), style).runs;
  }

  /** Have a part of the log ready that is about to be read. */
  prepare(section) {
    const chunk = Math.floor((section * BLOCK) / CHUNK);
    if (chunk >= 0 && chunk * CHUNK < this.size) this.#chunk(chunk).catch(() => {});
  }

  async #begin(section) {
    const begin = section * BLOCK;
    if (section <= 0) return 0;
    if (begin >= this.size) return this.size;
    const bytes = await this.#bytes(begin, Math.min(begin + BLOCK, this.size));
    const end = bytes.indexOf(LINE_END);
    if (end >= 0) return begin + end + 1;
    if (bytes.length < BLOCK) return this.size;
    let cut = bytes.indexOf(RETURN) + 1;
    while (cut < 4 && (bytes[cut] & 0xc0) === 0x80) cut++; // not within a character
    return begin + cut;
  }

  async #bytes(begin, end) {
    const parts = [];
    for (let at = begin; at < end; ) {
      const chunk = Math.floor(at / CHUNK), first = chunk * CHUNK;
      parts.push((await this.#chunk(chunk)).subarray(at - first, Math.min(end - first, CHUNK)));
      at = first + CHUNK;
    }
    return parts.length === 1 ? parts[0] : joined(parts);
  }

  #chunk(chunk) {
    const begin = chunk * CHUNK, end = Math.min(begin + CHUNK, this.size);
    const earlier = this.#chunks.get(chunk) ?? Promise.resolve(NOTHING);
    const now = earlier.then((bytes) => (bytes.length < end - begin ? this.#rest(bytes, begin, end) : bytes));
    this.#chunks.delete(chunk); // what was used last comes last
    this.#chunks.set(chunk, now);
    now.catch(() => this.#chunks.get(chunk) === now && this.#chunks.delete(chunk));
    if (this.#chunks.size > KEPT) this.#chunks.delete(this.#chunks.keys().next().value);
    return now;
  }

  async #rest(bytes, begin, end) {
    const response = await fetch(this.#address, { headers: { range: `bytes=${begin + bytes.length}-${end - 1}` } });
    if (response.status !== 206) throw new Error(`${response.status}`);
    return joined([bytes, new Uint8Array(await response.arrayBuffer())]);
  }
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
