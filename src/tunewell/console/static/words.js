// Words that scripts and pages share; see words.py.

/** How long ago in one unit: `just now`, `5 min ago`, `3 h ago`, `2 days ago`. */
export function relative(seconds) {
  for (const [size, name] of [[86400, "day"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) {
      const amount = Math.floor(seconds / size);
      return `${amount} ${name}${name === "day" && amount > 1 ? "s" : ""} ago`;
    }
  }
  return seconds >= 2 ? `${Math.floor(seconds)} s ago` : "just now";
}

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });

/** A number of bytes: `500 B`, `1.5 MiB`. */
export function size(bytes) {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), 5);
  return power ? `${NUMBER.format(bytes / 1024 ** power)} ${"KMGTP"[power - 1]}iB` : `${Math.round(bytes)} B`;
}

/** A time in its two largest units: `12 s`, `3 m 5 s`, `2 h 10 m`. */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`;
}
