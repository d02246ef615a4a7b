// The grid. Only what is in view is in the document, so that 20,000 pictures stay smooth.
const GAP = 1.1, NARROWEST = 17, HEADING = 3.6, LEAST_SCORES = 3; // rem, rem, rem, bars on a card
const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
const $ = (id) => document.getElementById(id);

// Which pictures, in which order --------------------------------------------------------------------

const usual = sorted ? "label" : "name";
const state = {label: "", said: "", find: "", show: "", sort: usual, reversed: false, looked: false};
let shown = []; // pictures
let rows = []; // {heading} or {from, to} of `shown`, each with its top

const haystacks = [];
const haystack = (i) => (haystacks[i] ??= `${titleOf(i)}\n${pictureOf(i)}\n${listed("group", i)}`.toLowerCase());

const keys = {
  label: (i) => cell("label", i),
  name: (i) => i, // the index is in this order
  seconds: (i) => secondsOf(i) ?? Infinity,
  wrong: (i) => (scoresOf(i) && actualOf(i) >= 0 ? scoresOf(i)[actualOf(i)] : Infinity),
  said: (i) => (scoresOf(i) ? -scoresOf(i)[saidOf(i)] : Infinity),
};
index.scored.forEach((_, k) => { keys[`p${k}`] = (i) => (scoresOf(i) ? -scoresOf(i)[k] : Infinity); });

const shows = {
  scored: (i) => scoresOf(i) !== null, looked: (i) => lookedOf(i) !== null,
  wrong: (i) => isRight(i) === false, right: (i) => isRight(i) === true,
};

function choose() {
  const label = state.label ? index.labels.findIndex((l) => labelName(l) === state.label) : null;
  const said = state.said ? index.scored.indexOf(state.said) : null;
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  const keep = (i) =>
    (label === null || cell("label", i) === label) &&
    (said === null || saidOf(i) === said) &&
    (!state.show || shows[state.show]?.(i)) &&
    words.every((word) => haystack(i).includes(word));
  shown = [];
  for (let i = 0; i < index.count; i++) if (keep(i)) shown.push(i);
  const key = keys[state.sort];
  const value = new Map(shown.map((i) => [i, key(i)]));
  const by = (a, b) => (value.get(a) === value.get(b) ? a - b : value.get(a) < value.get(b) ? -1 : 1);
  shown.sort(state.reversed ? (a, b) => by(b, a) : by);
  active = Math.max(0, shown.indexOf(activePicture)); // where it still is among them
}

// Rows in view --------------------------------------------------------------------------------------

const grid = $("grid");
const drawn = new Map(); // rows in the document, by number
let columns = 1, cardHeight = 0, active = 0, activePicture = -1, total = 0;

function layOut() {
  const width = grid.clientWidth, unit = rem();
  columns = Math.max(1, Math.floor((width + GAP * unit) / ((NARROWEST + GAP) * unit)));
  grid.style.setProperty("--columns", columns);
  for (const row of drawn.values()) row.remove();
  drawn.clear();
  fitPictures((width - (columns - 1) * GAP * unit) / columns);
  cardHeight = shown.length ? measure() : 0;
  rows = [];
  total = 0;
  const headings = state.sort === "label" && !state.label && sorted;
  const push = (row, height) => { rows.push({...row, top: total}); total += height; };
  for (let from = 0; from < shown.length; ) {
    let end = shown.length;
    if (headings) {
      const label = cell("label", shown[from]);
      end = from + 1;
      while (end < shown.length && cell("label", shown[end]) === label) end++;
      push({heading: labelOf(shown[from]), count: end - from, from: -1}, HEADING * unit);
    }
    for (; from < end; from += columns) push({from, to: Math.min(end, from + columns)}, cardHeight);
  }
  grid.style.height = `${total}px`;
  grid.setAttribute("aria-rowcount", rows.length);
  grid.setAttribute("aria-colcount", columns);
  $("none").hidden = shown.length > 0;
  draw();
}

// Pictures with axes decide how high all are: by the first one's proportions.
function fitPictures(width) {
  const ratio = shown.length ? listed("plot", shown[0])[0] : 0;
  document.body.style.setProperty("--height", ratio ? `${Math.min(width / ratio, 1.2 * width)}px` : "");
}

function measure() {
  const probe = makeRow({from: 0, to: 1}, 0);
  // As high as any: with a note.
  probe.querySelector(".note").textContent = anySilent ? " " : "";
  probe.querySelector(".note").classList.toggle("kept", anySilent);
  grid.append(probe);
  const height = probe.offsetHeight;
  probe.remove();
  return height;
}
const anySilent = index.sounds.some((_, k) => refusals[k]);

function rowAt(y) {
  let low = 0, high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle].top <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

const AT_ONCE = 12; // cards that a frame makes: more would be felt while scrolling
let waiting = 0;

function draw() {
  cancelAnimationFrame(waiting);
  if (!rows.length) return;
  const top = -grid.getBoundingClientRect().top, height = innerHeight;
  const first = rowAt(top);
  const before = rowAt(top - height / 2), after = rowAt(top + 1.5 * height);
  // The row with the focus stays, wherever it is: a focus that is gone is lost.
  const focused = document.activeElement?.closest?.("#grid [role=row]");
  for (const [number, row] of drawn) {
    if ((number < before || number > after) && row !== focused) {
      row.remove();
      drawn.delete(number);
    }
  }
  // What is in view comes first, the rest as soon as there is time.
  const wanted = [];
  for (let number = first; number <= after; number++) wanted.push(number);
  for (let number = first - 1; number >= before; number--) wanted.push(number);
  const missing = wanted.filter((number) => !drawn.has(number));
  const most = Math.ceil(AT_ONCE / columns);
  missing.slice(0, most).forEach(insertRow);
  if (missing.length > most) waiting = requestAnimationFrame(draw);
  placeStop(rows[first].from < 0 ? rows[first + 1].from : rows[first].from);
}

// Tab stops at one picture: where one was last, or else the first in view.
function placeStop(firstInView) {
  const stop = drawn.has(rowOf(active)) ? active : firstInView;
  for (const card of grid.querySelectorAll(".card")) {
    const index = Number(card.dataset.place) === stop ? 0 : -1;
    if (card.tabIndex !== index) card.tabIndex = index;
  }
}

// The row of a place among what is shown.
function rowOf(place) {
  let low = 0, high = rows.length - 1;
  const start = (number) => (rows[number].from < 0 ? rows[number + 1].from : rows[number].from);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (start(middle) <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

function insertRow(number) {
  if (drawn.has(number)) return;
  const row = makeRow(rows[number], number);
  // Readers go by the order in the document.
  let next = null;
  for (const other of drawn.keys()) if (other > number && (next === null || other < next)) next = other;
  grid.insertBefore(row, drawn.get(next) ?? null);
  drawn.set(number, row);
}

function makeRow(row, number) {
  const element = document.createElement("div");
  element.setAttribute("role", "row");
  element.setAttribute("aria-rowindex", number + 1);
  element.style.transform = `translateY(${row.top ?? 0}px)`;
  if (row.from < 0) {
    const heading = document.createElement("h2");
    heading.textContent = labelName(row.heading);
    heading.append(small(row.count));
    heading.prepend(dot(row.heading));
    const holder = document.createElement("div");
    holder.setAttribute("role", "gridcell");
    holder.style.gridColumn = "1 / -1";
    holder.append(heading);
    element.append(holder);
  } else {
    for (let place = row.from; place < row.to; place++) element.append(makeCard(place, place - row.from));
  }
  return element;
}
