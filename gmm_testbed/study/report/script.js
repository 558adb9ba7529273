"use strict";

// --- Tables: a click on a head sorts, another one turns the order. ---

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(table.tBodies[0], column, up ? 1 : -1);
    });
  });
}

function sort(body, column, sign) {
  const keyed = [...body.rows].map((row) => {
    const cell = row.cells[column];
    const text = cell.textContent;
    const none = text === "–" || text === "NaN";
    return { row, text, number: numberOf(cell.dataset.value), none };
  });
  keyed.sort((a, b) => {
    if (a.none || b.none) return a.none - b.none; // last, in either order
    if (a.number !== null && b.number !== null) {
      return sign * (a.number < b.number ? -1 : Number(a.number > b.number));
    }
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  });
  body.append(...keyed.map((entry) => entry.row));
}

function numberOf(text) {
  if (text === undefined) return null;
  if (text.endsWith("inf")) return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}

// --- Laws over time. ---

const LEFT = 42, BOTTOM = 34, TOP = 6, RIGHT = 10; // margins of a panel, in pixels
const BRIGHTEST = 0.8; // of the largest exact density: the darkest colour

const style = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function ramp() {
  const stops = style("--ink").split(",").map((text) => {
    const digits = text.trim().slice(1);
    return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
  });
  return Array.from({ length: 256 }, (_, n) => {
    const place = (n / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    return stops[low].map((c, k) => c + (place - low) * (stops[low + 1][k] - c));
  });
}

/** Densities (n, k) from their codes; what was no density is NaN. */
function decoded({ top, data }, bits) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const most = 2 ** bits - 2;
  return Float64Array.from({ length: (bytes.length * 8) / bits }, (_, n) => {
    const code = bits === 8 ? view.getUint8(n) : view.getUint16(2 * n, true);
    return code > most ? NaN : top * (code / most) ** 2;
  });
}

/** For each of `count` places between the ends of `values`: neighbour and weight. */
function places(values, count) {
  const found = [];
  const last = values.length - 1;
  const sign = values[last] > values[0] ? 1 : -1;
  let low = 0;
  for (let n = 0; n < count; n++) {
    const at = values[0] + ((n + 0.5) / count) * (values[last] - values[0]);
    while (low < last - 1 && sign * (values[low + 1] - at) < 0) low++;
    found.push([low, (at - values[low]) / (values[low + 1] - values[low])]);
  }
  return found;
}

/** Round numbers, about `count` of them, between two. */
function ticks(from, to, count) {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) {
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");

/** A canvas as wide as it is shown, in the pixels of the screen, and its inner box. */
function prepared(canvas) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.font = "11px system-ui, sans-serif";
  const box = { x: LEFT, y: TOP, w: width - LEFT - RIGHT, h: height - TOP - BOTTOM };
  return { pen, box, scale };
}

/** Ticks and names of the two axes; `across` and `up` are the ends of each. */
function axes(pen, box, across, up, name, marks = 5) {
  pen.strokeStyle = style("--quiet");
  pen.fillStyle = style("--quiet");
  pen.lineWidth = 0.75;
  pen.beginPath();
  pen.textAlign = "center";
  for (const value of ticks(...across, marks)) {
    const x = box.x + (box.w * (value - across[0])) / (across[1] - across[0]);
    pen.moveTo(x, box.y + box.h);
    pen.lineTo(x, box.y + box.h + 4);
    pen.fillText(short(value), x, box.y + box.h + 15);
  }
  pen.fillText(name, box.x + box.w / 2, box.y + box.h + 30);
  pen.textAlign = "right";
  for (const value of ticks(...up, 6)) {
    const y = box.y + box.h - (box.h * (value - up[0])) / (up[1] - up[0]);
    pen.moveTo(box.x, y);
    pen.lineTo(box.x - 4, y);
    pen.fillText(short(value), box.x - 7, y + 4);
  }
  pen.moveTo(box.x, box.y);
  pen.lineTo(box.x, box.y + box.h);
  pen.lineTo(box.x + box.w, box.y + box.h);
  pen.stroke();
  pen.textAlign = "left";
  pen.fillText("x", 4, box.y + 10);
}

/** The picture of a density (n, k) in as many pixels as the box has. */
function picture(density, t, x, brightest, box, scale) {
  const width = Math.max(1, Math.round(box.w * scale));
  const height = Math.max(1, Math.round(box.h * scale));
  const image = new ImageData(width, height);
  const colours = ramp();
  const columns = places(t, width);
  const rows = places(x, height).reverse();
  const points = x.length;
  for (let j = 0, at = 0; j < height; j++) {
    const [k, b] = rows[j];
    for (let i = 0; i < width; i++, at += 4) {
      const [n, a] = columns[i];
      const here = n * points + k;
      const value =
        (1 - a) * ((1 - b) * density[here] + b * density[here + 1]) +
        a * ((1 - b) * density[here + points] + b * density[here + points + 1]);
      if (Number.isNaN(value)) continue; // left transparent
      const colour = colours[Math.min(255, Math.round(255 * Math.sqrt(value / brightest)))];
      image.data[at] = colour[0];
      image.data[at + 1] = colour[1];
      image.data[at + 2] = colour[2];
      image.data[at + 3] = 255;
    }
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

class Viewer {
  constructor(root) {
    this.root = root;
    this.data = JSON.parse(document.getElementById(root.dataset.source).textContent);
    this.selects = [...root.querySelectorAll("select")];
    this.steps = root.querySelector(".by-steps");
    this.time = root.querySelector(".by-time");
    this.panels = Object.fromEntries(
      ["exact", "law", "slice"].map((kind) => {
        const figure = root.querySelector(`.panel.${kind}`);
        return [kind, {
          canvas: figure.querySelector("canvas"),
          caption: figure.querySelector("figcaption"),
        }];
      }),
    );
    this.densities = new Map();
    for (const control of [...this.selects, this.steps].filter(Boolean)) {
      control.addEventListener("input", () => this.choose());
    }
    this.time.addEventListener("input", () => this.move());
    for (const kind of ["exact", "law"]) this.follow(this.panels[kind].canvas);
    this.width = root.clientWidth;
    new ResizeObserver(() => {
      if (root.clientWidth === this.width) return; // a caption that wraps is no reason
      this.width = root.clientWidth;
      this.draw();
    }).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const { cells, steps } = this.data;
    if (this.steps) this.steps.value = Math.floor((steps.length - 1) / 2);
    this.cell = cells[0];
    this.time.max = this.times.length - 1;
    this.time.value = Math.round(0.7 * (this.times.length - 1));
    this.choose();
  }

  get times() { return this.data.axes[this.cell.t]; }
  get points() { return this.data.axes[this.cell.x]; }

  density(name) {
    if (!this.densities.has(name)) {
      this.densities.set(name, decoded(this.data.densities[name], this.data.bits));
    }
    return this.densities.get(name);
  }

  /** The cell that the controls ask for, at the time nearest to the one shown. */
  choose() {
    const wanted = Object.fromEntries(
      this.selects.map((select) => [select.dataset.label, select.value]),
    );
    const steps = this.steps ? Number(this.steps.value) : 0;
    const shown = this.times[Number(this.time.value)];
    const found = this.data.cells.find(
      (cell) => cell.steps === steps && this.data.labels.every(
        ({ name }, n) => !(name in wanted) || cell.labels[n] === wanted[name],
      ),
    );
    this.missing = !found;
    const number = this.data.steps[steps] ?? "–";
    this.say(".at-steps", this.steps, number, `N = ${number}`);
    if (found) {
      this.cell = found;
      const gaps = this.times.map((t) => Math.abs(t - shown));
      this.time.max = this.times.length - 1;
      this.time.value = gaps.indexOf(Math.min(...gaps));
    }
    this.metrics(found ? found.metrics : []);
    this.draw();
  }

  move() {
    this.overlay();
    this.slice();
  }

  say(output, control, text, words) {
    const found = this.root.querySelector(output);
    if (found) found.textContent = text;
    if (control) control.setAttribute("aria-valuetext", words);
  }

  metrics(found) {
    const entries = found.map(([name, value]) => {
      const [entry, term, number] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      [term.textContent, number.textContent] = [name, value];
      entry.append(term, number);
      return entry;
    });
    this.root.querySelector(".metrics").replaceChildren(...entries);
  }

  draw() {
    if (!this.root.clientWidth) return;
    const exact = this.density(this.cell.exact);
    const brightest = BRIGHTEST * exact.reduce((a, b) => (b > a ? b : a), 0) || 1;
    this.root.querySelector(".brightest").textContent = `${short(brightest)} or more`;
    for (const kind of ["exact", "law"]) {
      const panel = this.panels[kind];
      Object.assign(panel, prepared(panel.canvas));
      const density = this.density(this.cell[kind]);
      panel.picture = this.missing && kind === "law" ? null : picture(
        density, this.times, this.points, brightest, panel.box, panel.scale,
      );
    }
    const names = this.data.labels.map((label, n) => [label.values, this.cell.labels[n]]);
    const what = names.filter(([values]) => values.length > 1).map(([, value]) => value);
    const steps = this.data.steps[this.cell.steps];
    if (steps !== null) what.push(`N = ${steps}`);
    this.panels.exact.caption.textContent = "exact law";
    this.panels.law.caption.textContent =
      this.missing ? "no such cell" : ["law", ...what].join(", ");
    this.move();
  }

  /** The pictures with a line at the time that is chosen. */
  overlay() {
    const { times, points } = this;
    const t = times[Number(this.time.value)];
    this.say(".at-time", this.time, short(t), `t = ${short(t)}`);
    for (const kind of ["exact", "law"]) {
      const { canvas, pen, box, picture, caption } = this.panels[kind];
      pen.clearRect(0, 0, canvas.width, canvas.height);
      if (picture) pen.drawImage(picture, box.x, box.y, box.w, box.h);
      const ends = [times[0], times[times.length - 1]];
      axes(pen, box, ends, [points[0], points[points.length - 1]], "t, from noise to data");
      const at = box.x + (box.w * (t - ends[0])) / (ends[1] - ends[0]);
      pen.strokeStyle = style("--line");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(at, box.y);
      pen.lineTo(at, box.y + box.h);
      pen.stroke();
      canvas.setAttribute("aria-label", `${caption.textContent}, over t and x; line at t = ${short(t)}`);
    }
  }

  /** Both densities at that time, x upwards as in the pictures. */
  slice() {
    const { canvas, caption } = this.panels.slice;
    const { pen, box } = prepared(canvas);
    const { points } = this;
    const row = Number(this.time.value);
    const cut = (name) => this.density(name).subarray(row * points.length, (row + 1) * points.length);
    const [exact, law] = [cut(this.cell.exact), cut(this.cell.law)];
    const largest = [...exact, ...law].reduce((a, b) => (b > a ? b : a), 0) || 1;
    const up = [points[0], points[points.length - 1]];
    const across = [0, 1.06 * largest];
    const place = (density, n) => [
      box.x + (box.w * density[n]) / across[1],
      box.y + box.h - (box.h * (points[n] - up[0])) / (up[1] - up[0]),
    ];
    pen.beginPath();
    pen.moveTo(box.x, box.y + box.h);
    points.forEach((_, n) => pen.lineTo(...place(exact, n)));
    pen.lineTo(box.x, box.y);
    pen.fillStyle = style("--exact");
    pen.fill();
    const colour = this.cell.colour === "#000000" ? style("--text") : this.cell.colour;
    if (!this.missing) {
      pen.strokeStyle = colour || style("--law");
      pen.lineWidth = 1.75;
      pen.beginPath();
      points.forEach((_, n) => pen.lineTo(...place(law, n)));
      pen.stroke();
    }
    axes(pen, box, across, up, "density: exact filled, law as a line", 3);
    const t = short(this.times[row]);
    const apart = this.missing ? "" : `, total variation ${distance(exact, law, points).toPrecision(2)}`;
    caption.textContent = `t = ${t}${apart}`;
    canvas.setAttribute("aria-label", `both densities at ${caption.textContent}`);
  }

  /** A press or a drag in a picture moves the time. */
  follow(canvas) {
    const to = (event) => {
      const { times } = this;
      const share = (event.offsetX - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
      const at = times[0] + share * (times[times.length - 1] - times[0]);
      const gaps = times.map((t) => Math.abs(t - at));
      this.time.value = gaps.indexOf(Math.min(...gaps));
      this.move();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      to(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && to(event));
  }
}

/** Half the integral of |p - q| over the points, by the trapezoidal rule. */
function distance(p, q, x) {
  let total = 0;
  for (let n = 1; n < x.length; n++) {
    const ends = Math.abs(p[n] - q[n]) + Math.abs(p[n - 1] - q[n - 1]);
    total += 0.25 * ends * (x[n] - x[n - 1]);
  }
  return total;
}

for (const root of document.querySelectorAll(".viewer")) new Viewer(root);
