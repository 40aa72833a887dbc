// <log-view data-address data-file>: a log as it is being printed. Only what is near is in the page, so a log of any
// length can be looked at: sections (see log-source.js) above and below the one at the top of the window, the `anchor`.
// The page does not scroll them, it scrolls an empty space as high as the whole would be; sections are moved by as much.
import { BLOCK, Source } from "./log-source.js";
import { Search } from "./log-search.js";
import { fill, marks, range } from "./log-text.js";

/** Height of a section that was not seen yet, and most of the space, in pixels: beyond some 17 million browsers fail. */
const GUESS = 3200, HIGHEST = 8_000_000;
/** How often it is asked for more, in milliseconds: soon after there was some, else more rarely. */
const SOON = 500, LATE = 2000;
/** Most matches in a section that are marked. */
const MARKED = 500;

const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const make = (name, properties = {}, ...content) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...content);
  return element;
};

class LogView extends HTMLElement {
  #source;
  #tools;
  #paper;
  #input;
  #count;
  #follower;
  #window;
  #space;
  #stage;
  #lines;
  #state;
  #parts = new Map();
  #anchor = { section: 0, down: 0 };
  #isAtEnd = true;
  #top = 0;
  #scrolls = false;
  #drags = false;
  #seen = { height: 0, sections: 0 };
  #wanted = "";
  #search = null;
  #match = null;
  #marked = [];
  #over = new AbortController();

  connectedCallback() {
    if (this.#source) return;
    this.#source = new Source(this.dataset.address);
    this.#build();
    this.#follow();
  }

  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#end());
  }

  #end() {
    this.#over.abort();
    this.#search?.end();
    this.#unmark();
  }

  #build() {
    this.#input = make("input", { type: "search", placeholder: "Search the log", autocomplete: "off", spellcheck: false });
    this.#input.setAttribute("aria-label", "Search the log");
    const previous = this.#button("↑", () => this.#step(-1), "Previous match");
    const next = this.#button("↓", () => this.#step(1), "Next match");
    this.#count = make("output", { className: "muted" });
    const start = this.#button("Start", () => this.#goTo(0));
    this.#follower = this.#button("Follow", () => this.#toggleEnd());
    const whole = make("a", { className: "button", href: this.dataset.address, download: this.dataset.file }, "Download");
    this.#lines = make("div", { className: "log-lines" });
    this.#stage = make("div", { className: "log-stage" }, this.#lines);
    this.#space = make("div", { className: "log-space" }, this.#stage);
    this.#window = make("div", { className: "log-window", tabIndex: 0, role: "region", ariaLabel: "Output" }, this.#space);
    this.#state = make("p", { className: "muted log-told", role: "status" }, "Reading…");
    const finding = make("div", { className: "log-finding" }, this.#input, previous, next, this.#count);
    const going = make("div", { className: "log-going" }, start, this.#follower, whole);
    this.#tools = make("div", { className: "log-tools" }, finding, going);
    this.#paper = make("div", { className: "log-paper" }, this.#window);
    this.replaceChildren(this.#tools, this.#paper, this.#state);
    this.#listen();
    this.#showState();
  }

  #button(text, act, label) {
    const button = make("button", { type: "button" }, text);
    if (label) button.ariaLabel = button.title = label;
    button.addEventListener("click", act);
    return button;
  }

  #listen() {
    const { signal } = this.#over;
    let timer;
    this.#input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#find(this.#input.value), 200);
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.#input.value !== this.#wanted) this.#find(this.#input.value);
      else if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape" && this.#input.value) this.#find((this.#input.value = ""));
      else return;
      event.preventDefault();
    });
    this.#window.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.#window.addEventListener("scrollend", () => this.#onScrollEnd());
    this.#window.addEventListener("pointerdown", (event) => {
      this.#drags = event.target === this.#window && event.offsetX >= this.#window.clientWidth;
    });
    this.#window.addEventListener("keydown", (event) => {
      if (event.target !== this.#window || !["Home", "End"].includes(event.key)) return;
      event.preventDefault();
      this.#goTo(event.key === "Home" ? 0 : 1);
    });
    let width = 0;
    const resized = new ResizeObserver(() => {
      if (this.#window.clientWidth === width) return;
      width = this.#window.clientWidth;
      this.#seen = { height: 0, sections: 0 };
      this.#draw();
    });
    resized.observe(this.#window);
    addEventListener("resize", () => this.#draw(), { signal });
    signal.addEventListener("abort", () => resized.disconnect());
  }

  // What is printed -----------------------------------------------------------------------------------------

  async #follow() {
    const { signal } = this.#over;
    let wait = SOON;
    while (!signal.aborted) {
      if (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true, signal }));
      try {
        const before = this.#source.sections;
        const hasGrown = await this.#source.look(signal);
        wait = hasGrown ? SOON : Math.min(wait * 1.5, LATE);
        this.#showState();
        if (hasGrown) {
          this.#draw();
          this.#grow(before);
        }
        if (this.#source.ended) return;
      } catch {
        if (signal.aborted) return;
        wait = LATE;
        this.#state.textContent = "The log can't be read just now. It is tried again.";
      }
      await rest(wait);
    }
  }

  async #grow(before) {
    if (!this.#search?.isComplete) return;
    await this.#search.extend(before).catch(() => {});
    this.#showMatches();
    this.#mark();
  }

  #showState() {
    const { size, ended, exists } = this.#source;
    this.#state.textContent = !exists && ended ? "There is no log, or it has been tidied away."
      : size ? "" : ended ? "Nothing was printed." : "Nothing has been printed yet.";
    this.#follower.textContent = ended ? "End" : "Follow";
    if (ended) this.#follower.ariaPressed = null;
    else this.#follower.ariaPressed = `${this.#isAtEnd}`;
    this.#tools.hidden = this.#paper.hidden = !size;
  }

  // What is in the page -------------------------------------------------------------------------------------

  get #most() {
    return Math.max(Math.round(innerHeight * 0.6), 240);
  }

  get #typical() {
    return this.#seen.sections ? this.#seen.height / this.#seen.sections : GUESS;
  }

  #heightOf(section) {
    return this.#parts.get(section)?.element.offsetHeight ?? this.#typical;
  }

  /** Put what is near into the page, and what is not out of it. */
  #draw() {
    if (!this.#source.sections || this.#over.signal.aborted) return;
    const most = this.#most;
    this.#window.style.maxHeight = `${most}px`;
    for (let round = 0; round < 5; round++) {
      this.#settle(most);
      if (!this.#place(...this.#near(most))) break;
    }
    const part = this.#parts.get(this.#anchor.section);
    this.#lines.style.transform = `translateY(${-(part.element.offsetTop + this.#anchor.down)}px)`;
    if (!this.#scrolls) this.#align();
    for (const one of this.#parts.values()) this.#load(one);
  }

  /** Have the anchor name the section at the top, and nothing lie above the first line or below the last. */
  #settle(most) {
    const anchor = this.#anchor, last = this.#source.sections - 1;
    if (this.#isAtEnd) Object.assign(anchor, { section: last, down: this.#heightOf(last) - most });
    while (anchor.section < last && anchor.down >= this.#heightOf(anchor.section)) anchor.down -= this.#heightOf(anchor.section++);
    while (anchor.down < 0 && anchor.section > 0) anchor.down += this.#heightOf(--anchor.section);
    let below = -anchor.down;
    for (let section = anchor.section; section <= last && below < most; section++) below += this.#heightOf(section);
    if (below < most) anchor.down -= most - below;
    while (anchor.down < 0 && anchor.section > 0) anchor.down += this.#heightOf(--anchor.section);
    anchor.down = Math.max(anchor.down, 0);
    const isAtEnd = below <= most + 1 && this.#parts.has(last);
    if (isAtEnd !== this.#isAtEnd && this.#scrolls) {
      this.#isAtEnd = isAtEnd;
      this.#showState();
    }
  }

  /** The first section that is near, and the one behind the last: a window's height more on either side. */
  #near(most) {
    let { section: first, down: above } = this.#anchor, last = first;
    for (let below = -above; last < this.#source.sections && below < 2 * most; last++) below += this.#heightOf(last);
    while (first > 0 && above < most) above += this.#heightOf(--first);
    return [first, last];
  }

  /** Have these sections in the page and no others; return whether it had lacked some. */
  #place(first, last) {
    for (const [section, { element }] of this.#parts) {
      if (section >= first && section < last) continue;
      element.remove();
      this.#parts.delete(section);
    }
    let before = this.#lines.firstChild, lacked = false;
    for (let section = first; section < last; section++) {
      const known = this.#parts.get(section);
      if (known) {
        before = known.element.nextSibling;
        continue;
      }
      const element = make("div", { className: "log-section" });
      element.style.height = `${this.#typical}px`;
      this.#parts.set(section, { section, element, upTo: -1, text: "", busy: null });
      this.#lines.insertBefore(element, before);
      lacked = true;
    }
    return lacked;
  }

  /** Fill a section, unless it shows all that there is of it. */
  #load(part) {
    const { size } = this.#source;
    if (part.busy || part.upTo >= Math.min(size, (part.section + 2) * BLOCK)) return part.busy;
    part.busy = this.#fill(part, size).catch(() => rest(LATE)).then(() => {
      part.busy = null;
      if (this.#parts.get(part.section) !== part) return;
      this.#draw();
      this.#mark();
    });
    return part.busy;
  }

  async #fill(part, size) {
    if (this.#drags) await rest(60); // what is only passed is not read
    if (this.#parts.get(part.section) !== part) return;
    const runs = await this.#source.runs(part.section);
    const isNew = part.upTo < 0, before = part.element.offsetHeight;
    fill(part.element, runs);
    part.element.style.height = "";
    Object.assign(part, { upTo: size, text: runs.map(({ text }) => text).join("") });
    if (!isNew) return;
    const after = part.element.offsetHeight;
    if (part.section === this.#anchor.section && before) this.#anchor.down *= after / before;
    if ((part.section + 1) * BLOCK > size) return; // not whole, so not typical
    this.#seen.height += after;
    this.#seen.sections++;
  }

  // Scrolling -----------------------------------------------------------------------------------------------

  #onScroll() {
    const moved = this.#window.scrollTop - this.#top;
    if (!moved) return;
    this.#top += moved;
    this.#scrolls = true;
    if (moved < 0) this.#isAtEnd = false;
    if (this.#drags || Math.abs(moved) > 2 * this.#most) this.#jump();
    else this.#anchor.down += moved;
    this.#draw();
    this.#showState();
  }

  #onScrollEnd() {
    this.#scrolls = this.#drags = false;
    this.#draw();
  }

  /** Go to where the scroll bar is. */
  #jump() {
    const { scrollHeight, clientHeight } = this.#window;
    this.#isAtEnd = this.#top >= scrollHeight - clientHeight - 1;
    const place = (this.#top / scrollHeight) * this.#source.sections;
    const section = Math.min(Math.floor(place), this.#source.sections - 1);
    this.#anchor = { section, down: (place - section) * this.#heightOf(section) };
  }

  /** Make the space as high as the whole would be, as far as that is known, and have the scroll bar say where this is. */
  #align() {
    const { sections } = this.#source, all = this.#parts.size === sections;
    const height = all ? this.#lines.offsetHeight : Math.min(this.#typical * sections, HIGHEST);
    this.#space.style.height = `${Math.max(height, 1)}px`;
    this.#stage.style.height = `${Math.min(height, this.#most)}px`;
    const { section, down } = this.#anchor;
    const place = all ? this.#parts.get(section).element.offsetTop + down : ((section + down / this.#heightOf(section)) / sections) * height;
    this.#window.scrollTop = this.#isAtEnd ? height : place;
    this.#top = this.#window.scrollTop;
  }

  /** Go to the start (0) or the end (1), at once. */
  #goTo(end) {
    this.#isAtEnd = Boolean(end);
    this.#anchor = { section: 0, down: 0 };
    this.#scrolls = false;
    this.#draw();
    this.#showState();
  }

  #toggleEnd() {
    if (this.#isAtEnd && !this.#source.ended) {
      this.#isAtEnd = false;
      this.#showState();
    } else this.#goTo(1);
  }

  // Searching -----------------------------------------------------------------------------------------------

  async #find(wanted) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#search?.end();
    this.#match = null;
    const search = (this.#search = wanted ? new Search(this.#source, wanted) : null);
    this.#showMatches();
    this.#mark();
    if (!search) return;
    const from = this.#anchor.section;
    await search
      .run(from, (section) => {
        this.#showMatches();
        const first = this.#match ? null : search.within(section, section <= from ? -1 : 1);
        if (first) this.#show(first);
      })
      .catch(() => (this.#count.textContent = "The log can't be read just now."));
  }

  #step(step) {
    const match = this.#match && this.#search?.beside(this.#match, step);
    if (match) this.#show(match);
  }

  #showMatches() {
    const search = this.#search;
    this.#count.ariaBusy = `${Boolean(search && !search.isComplete)}`;
    if (!search) this.#count.textContent = "";
    else if (!search.isComplete) {
      this.#count.textContent = `${search.total} so far, ${Math.floor((100 * search.done) / search.all)} % read`;
    } else if (!search.total) this.#count.textContent = "not found";
    else this.#count.textContent = this.#match ? `${search.rank(this.#match)} of ${search.total}` : `${search.total}`;
  }

  async #show(match) {
    this.#match = match;
    this.#isAtEnd = this.#scrolls = false;
    if (!this.#parts.has(match.section)) this.#anchor = { section: match.section, down: 0 };
    this.#draw();
    this.#showState();
    this.#showMatches();
    const part = this.#parts.get(match.section);
    await part.busy;
    if (this.#match !== match || this.#parts.get(match.section) !== part) return;
    const place = this.#search.places(part.text)[match.index];
    if (!place) return;
    const down = range(part.element, ...place).getBoundingClientRect().top - part.element.getBoundingClientRect().top;
    this.#anchor = { section: match.section, down: down - this.#most / 3 };
    this.#draw();
    this.#mark();
  }

  #mark() {
    if (!marks) return;
    this.#unmark();
    if (!this.#search) return;
    for (const { section, element, text } of this.#parts.values()) {
      for (const [index, place] of this.#search.places(text).slice(0, MARKED).entries()) {
        const isCurrent = this.#match?.section === section && this.#match.index === index;
        this.#marked.push([isCurrent ? marks.current : marks.found, range(element, ...place)]);
      }
    }
    for (const [kind, one] of this.#marked) kind.add(one);
  }

  #unmark() {
    for (const [kind, one] of this.#marked) kind.delete(one);
    this.#marked = [];
  }
}

customElements.define("log-view", LogView);
