// What a program has printed, as a terminal would leave it: runs of text, each with classes for its looks.
// Colours become those of the page's own few that come closest, so that they can be read on light and dark paper.

const HUES = ["", "red", "green", "yellow", "blue", "magenta", "cyan", "", "grey", "red", "green", "yellow", "blue", "magenta", "cyan", ""];
/** Hue in degrees → its name, each up to this angle. */
const ANGLES = [[20, "red"], [75, "yellow"], [155, "green"], [200, "cyan"], [260, "blue"], [335, "magenta"], [360, "red"]];
const CUBE = [0, 95, 135, 175, 215, 255];
/** Escape sequences (colours and erasing are of interest, the others are dropped), and control characters. */
const CODES = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const CODE = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;
/** What moves the cursor within a line. */
const MOVES = /[\r\b]|\x1b\[[0-?]*K/;

export const PLAIN = Object.freeze({});

/** Return the runs of some text, and the style at its end; neighbours differ in their looks. */
export function parse(text, style = PLAIN) {
  const runs = [];
  const put = (text, look) => {
    const last = runs.at(-1);
    if (last?.look === look) last.text += text;
    else if (text) runs.push({ text, look });
  };
  const lines = text.split("\n");
  for (const [place, line] of lines.entries()) {
    if (!CODE.test(line)) put(line, looks(style));
    else if (MOVES.test(line.endsWith("\r") ? line.slice(0, -1) : line)) style = overwritten(line, style, put);
    else style = coloured(line, style, put);
    if (place < lines.length - 1) put("\n", runs.at(-1)?.look ?? "");
  }
  return { runs, style };
}

function coloured(line, style, put) {
  let begin = 0;
  for (const code of line.matchAll(CODES)) {
    put(line.slice(begin, code.index), looks(style));
    begin = code.index + code[0].length;
    if (code[2] === "m") style = painted(style, code[1]);
  }
  put(line.slice(begin), looks(style));
  return style;
}

/** A line that was written over: what came last in each place. */
function overwritten(line, style, put) {
  const cells = [];
  let at = 0, begin = 0;
  const write = (text) => {
    while (cells.length < at) cells.push([" ", ""]);
    for (const one of text) cells[at++] = [one, looks(style)];
  };
  for (const code of line.matchAll(CODES)) {
    write(line.slice(begin, code.index));
    begin = code.index + code[0].length;
    if (code[0] === "\r") at = 0;
    else if (code[0] === "\b") at = Math.max(at - 1, 0);
    else if (code[2] === "m") style = painted(style, code[1]);
    else if (code[2] === "K") erase(cells, at, code[1]);
  }
  write(line.slice(begin));
  for (const [text, look] of cells) put(text, look);
  return style;
}

function erase(cells, at, what) {
  if (what === "1") cells.fill([" ", ""], 0, at + 1);
  else cells.length = what === "2" ? 0 : Math.min(cells.length, at);
}

/** Return a style after a code that changes colours or weight. */
function painted(style, codes) {
  const next = { ...style };
  const parts = codes.split(";");
  while (parts.length) {
    const [code, ...more] = parts.shift().split(":").map(Number);
    if (code === 0) for (const name of Object.keys(next)) delete next[name];
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = more[0] !== 0;
    else if (code === 7) next.inverse = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code === 29) next.strike = false;
    else if (code === 39) next.ink = "";
    else if (code === 49) next.paper = "";
    else if (code === 38) next.ink = mixed(more, parts);
    else if (code === 48) next.paper = mixed(more, parts) || "plain";
    else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) next.ink = HUES[code < 90 ? code - 30 : code - 82];
    else if ((code >= 40 && code < 48) || (code >= 100 && code < 108)) next.paper = HUES[code < 100 ? code - 40 : code - 92] || "plain";
  }
  return next;
}

/** A colour of the 256, or one mixed of red, green and blue: behind colons (`more`), or the codes that follow. */
function mixed(more, parts) {
  const kind = more.length ? more[0] : Number(parts.shift());
  if (kind === 5) return ofMany(more.length ? more.at(-1) : Number(parts.shift()));
  if (kind === 2) return nearest(...(more.length ? more.slice(-3) : parts.splice(0, 3).map(Number)));
  return "";
}

function ofMany(number) {
  if (number < 16) return HUES[number] ?? "";
  if (number >= 232) return nearest(...Array(3).fill(8 + 10 * (number - 232)));
  const place = number - 16;
  return nearest(CUBE[Math.floor(place / 36)], CUBE[Math.floor(place / 6) % 6], CUBE[place % 6]);
}

/** The name of a colour: that of its hue; without one, grey, or nothing where it is nearly black or white. */
function nearest(red = 0, green = 0, blue = 0) {
  const most = Math.max(red, green, blue), range = most - Math.min(red, green, blue);
  if (range < 40) return most > 70 && most < 190 ? "grey" : "";
  const turn = most === red ? (green - blue) / range : most === green ? 2 + (blue - red) / range : 4 + (red - green) / range;
  const angle = (60 * turn + 360) % 360;
  return ANGLES.find(([end]) => angle <= end)?.[1] ?? "";
}

function looks({ ink = "", paper = "", bold, dim, italic, underline, inverse, strike }) {
  if (inverse) [ink, paper] = ["", ink || "plain"];
  const found = [];
  if (paper) found.push(`paper-${paper}`);
  else if (ink) found.push(`ink-${ink}`);
  if (bold) found.push("bold");
  if (dim) found.push("dim");
  if (italic) found.push("italic");
  if (underline) found.push("underline");
  if (strike) found.push("strike");
  return found.join(" ");
}
