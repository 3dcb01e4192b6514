// The table of colleagues. Only visible rows are in the page, however many there are; a change updates its row.

const SPARE = 12; // rows above and below what can be seen
const STEP = 6; // rows by which what is in the page moves

export class Rows {
  #list;
  #table;
  #body;
  #make;
  #draw;
  #ids = [];
  #rows = new Map(); // id -> row in the page
  #free = [];
  #dirty = new Set();
  #height = 0; // of a row; 0 until it has been measured
  #width = 0;
  #range = "";
  #isDue = false;

  /**
   * list: the element around the table.
   * make(): returns a new row.
   * draw(row, id): draws a colleague in a row.
   */
  constructor(list, make, draw) {
    this.#list = list;
    this.#table = list.querySelector("table");
    this.#body = this.#table.tBodies[0];
    this.#make = make;
    this.#draw = draw;
    addEventListener("scroll", () => this.#later(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(list);
    this.#body.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows these colleagues, in this order. */
  show(ids) {
    this.#ids = ids;
    this.#range = "";
    this.#table.ariaRowCount = ids.length + 1;
    this.#later();
  }

  /** Draws a colleague again, if the row is in the page. */
  changed(id) {
    if (this.#rows.has(id)) {
      this.#dirty.add(id);
      this.#later();
    }
  }

  /** Draws all rows again. */
  redraw() {
    for (const id of this.#rows.keys()) this.#dirty.add(id);
    this.#later();
  }

  /** Focuses a colleague, if the row is in the page, else the list. */
  focus(id) {
    (this.#rows.get(id)?.querySelector("button") ?? this.#list).focus({ preventScroll: true });
  }

  #later() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#place();
      for (const id of this.#dirty) {
        const row = this.#rows.get(id);
        if (row) this.#draw(row, id);
      }
      this.#dirty.clear();
    });
  }

  /** Measures again when the width has changed, because narrow pages have other rows. */
  #resized() {
    if (this.#width === this.#list.clientWidth) return;
    this.#width = this.#list.clientWidth;
    this.#height = 0;
    this.#range = "";
    this.#later();
  }

  /** Puts the visible rows into the page, with padding for all others. */
  #place() {
    const [first, end] = this.#visible();
    const range = `${first} ${end}`;
    if (range === this.#range) return;
    const wanted = this.#ids.slice(first, end);
    const stays = new Set(wanted);
    for (const [id, row] of this.#rows) {
      if (stays.has(id)) continue;
      if (row.contains(document.activeElement)) this.#list.focus({ preventScroll: true });
      row.remove();
      this.#rows.delete(id);
      this.#free.push(row);
    }
    wanted.forEach((id, place) => {
      let row = this.#rows.get(id);
      if (!row) {
        row = this.#free.pop() ?? this.#make();
        row.dataset.id = id;
        this.#rows.set(id, row);
        this.#draw(row, id);
      }
      row.ariaRowIndex = first + place + 2;
      if (this.#body.children[place] !== row) this.#body.insertBefore(row, this.#body.children[place] ?? null);
    });
    this.#measure();
    this.#list.style.paddingTop = `${first * this.#height}px`;
    this.#list.style.paddingBottom = `${Math.max(0, this.#ids.length - end) * this.#height}px`;
    if (this.#height) this.#range = range;
  }

  /** Returns the index of the first row in the page, and the index after the last one. */
  #visible() {
    if (!this.#height) return [0, Math.min(this.#ids.length, 2 * SPARE)];
    const top = this.#list.getBoundingClientRect().top;
    const above = Math.floor(-top / this.#height / STEP) * STEP - SPARE;
    const below = Math.ceil((innerHeight - top) / this.#height / STEP) * STEP + SPARE;
    const end = Math.max(0, Math.min(this.#ids.length, below));
    return [Math.max(0, Math.min(above, end - SPARE)), end];
  }

  /** Measures the height of a row; all have the same. After the first measurement, the visible rows are determined again. */
  #measure() {
    if (this.#height || !this.#body.children.length) return;
    this.#height = this.#body.children[0].getBoundingClientRect().height;
    this.#later();
  }

  /** Arrow keys, Home and End move from row to row. */
  #key(event) {
    const row = event.target.closest("tr");
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -this.#ids.length, End: this.#ids.length };
    if (!(event.key in steps) || !row || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const at = this.#ids.indexOf(row.dataset.id) + steps[event.key];
    const to = Math.max(0, Math.min(this.#ids.length - 1, at));
    const top = this.#list.getBoundingClientRect().top + this.#table.tHead.offsetHeight + to * this.#height;
    if (top < this.#table.tHead.offsetHeight || top + this.#height > innerHeight) scrollBy({ top: top - innerHeight / 2, behavior: "instant" });
    this.#place();
    this.focus(this.#ids[to]);
  }
}
