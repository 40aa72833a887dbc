// A search through a whole log: section after section is counted, from the one that is looked at.
import { parse } from "./terminal.js";

export class Search {
  #source;
  #pattern;
  #counts = [];
  #over = false;
  total = 0;
  /** Sections that have been looked through, and how many there are. */
  done = 0;
  all = 0;

  constructor(source, wanted) {
    this.#source = source;
    this.#pattern = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu");
  }

  /** Look through everything, first upwards from a section, then below it; tell after each where something was found. */
  async run(from, tell) {
    const { size } = this.#source;
    this.all = this.#source.sections;
    for (let step = 0; step < this.all && !this.#over; step++) {
      const section = step <= from ? from - step : step;
      this.#source.prepare(step <= from ? section - 32 : section + 32);
      await this.#count(section);
      this.done++;
      if (!this.#over) tell(section);
    }
    if (this.#source.size > size) await this.extend(this.all);
  }

  /** Look through what has been printed since there were so many sections. */
  async extend(sections) {
    for (let section = Math.max(sections - 2, 0); section < this.#source.sections && !this.#over; section++) {
      await this.#count(section);
    }
    this.done = this.all = this.#source.sections;
  }

  end() {
    this.#over = true;
  }

  get isComplete() {
    return this.all > 0 && this.done >= this.all;
  }

  /** Places of what was found in a text: where each begins, and ends. */
  places(text) {
    return [...text.matchAll(this.#pattern)].map((found) => [found.index, found.index + found[0].length]);
  }

  /** Return the match beside another one (null: there is none), going on at the other end; null if there is none. */
  beside(match, step) {
    const sections = this.#counts.length;
    let { section, index } = match;
    index += step;
    for (let tried = 0; tried <= sections; tried++) {
      const count = this.#counts[section] ?? 0;
      if (index >= 0 && index < count) return { section, index };
      section = (section + step + sections) % sections;
      index = step > 0 ? 0 : (this.#counts[section] ?? 0) - 1;
    }
    return null;
  }

  /** Return the first or the last match of a section; null if it has none. */
  within(section, step) {
    const count = this.#counts[section] ?? 0;
    return count ? { section, index: step > 0 ? 0 : count - 1 } : null;
  }

  /** Return which of all matches one is, the first being 1. */
  rank({ section, index }) {
    return this.#counts.slice(0, section).reduce((sum, count) => sum + (count ?? 0), index + 1);
  }

  async #count(section) {
    const { runs } = parse(await this.#source.text(section));
    const count = this.places(runs.map(({ text }) => text).join("")).length;
    this.total += count - (this.#counts[section] ?? 0);
    this.#counts[section] = count;
  }
}
