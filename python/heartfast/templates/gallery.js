// What one does with a gallery: play, move, filter, search, sort.

// Playing -------------------------------------------------------------------------------------------

function play(i, share = null) {
  if (refusal(i)) return say(`${titleOf(i)}: ${refusal(i)}`);
  const sound = soundOf(i);
  player.play(sound, share === null ? sound.start : player.time(sound, share));
  say(`Playing ${titleOf(i)}`);
}

function playOrPause(i) {
  if (player.sound === sounds.get(i) && player.sound) player.toggle();
  else play(i);
}

function say(text) { $("said").textContent = text; }

let current = null; // the card whose line moves
player.changed = () => {
  const i = player.sound?.i ?? null;
  const card = i === null ? null : cardOf(i);
  for (const old of new Set([current, card])) {
    if (old) showLine(old.querySelector(".picture"), soundOf(Number(old.dataset.i)));
  }
  current = card;
  const bar = $("bar");
  bar.hidden = i === null;
  if (i === null) return;
  bar.classList.toggle("playing", player.playing);
  $("bar-play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("bar-name").textContent = titleOf(i);
  const length = player.end - player.sound.start;
  const time = `${clock(Math.max(0, player.at - player.sound.start))} / ${clock(length)}`;
  $("bar-time").textContent = time;
  if (view.open) showPosition();
};
player.failed = ({i}) => {
  const reason = `${listed("sound", i)[1]}, or it is gone`;
  failures.set(i, reason);
  say(`${titleOf(i)}: ${reason}`);
  player.sound = null;
  $("bar").hidden = true;
  const number = rowOf(shown.indexOf(i)), row = drawn.get(number);
  if (row) {
    const focused = row.contains(document.activeElement);
    const fresh = makeRow(rows[number], number);
    row.replaceWith(fresh);
    drawn.set(number, fresh);
    if (focused) cardOf(i)?.focus();
  }
  if (view.open) fillView(viewed);
};

function cardOf(i) {
  return grid.querySelector(`.card[data-i="${i}"]`);
}

// Moving --------------------------------------------------------------------------------------------

function activate(place, {focus = true} = {}) {
  active = Math.max(0, Math.min(place, shown.length - 1));
  activePicture = shown[active];
  if (!focus || !shown.length) return;
  const number = rowOf(active), y = grid.getBoundingClientRect().top + rows[number].top;
  const below = $("bar").hidden ? 0 : $("bar").offsetHeight, above = Math.max(0, document.querySelector(".tools").getBoundingClientRect().bottom);
  const jump = y < above ? y - above - 12 : y + cardHeight > innerHeight - below ? y + cardHeight - innerHeight + below : 0;
  if (jump) scrollBy({top: jump, behavior: "instant"});
  insertRow(number);
  draw();
  cardOf(activePicture).focus({preventScroll: true});
}

// Up and down by rows: those of one class may end early, and a heading is passed over.
function rowAway(step) {
  let number = rowOf(active);
  const column = active - rows[number].from;
  for (let left = Math.abs(step); left > 0; left--) {
    let next = number + Math.sign(step);
    if (rows[next]?.from < 0) next += Math.sign(step);
    if (!rows[next]) break;
    number = next;
  }
  return Math.min(rows[number].from + column, rows[number].to - 1);
}

function move(key) {
  const page = Math.max(1, Math.floor(innerHeight / cardHeight));
  const place = {
    ArrowLeft: () => active - 1, ArrowRight: () => active + 1,
    ArrowUp: () => rowAway(-1), ArrowDown: () => rowAway(1),
    PageUp: () => rowAway(-page), PageDown: () => rowAway(page),
    Home: () => 0, End: () => shown.length - 1,
  }[key]?.();
  if (place === undefined || !shown.length) return false;
  // The first key shows where one is, unless that is seen already.
  activate(grid.contains(document.activeElement) ? place : active);
  return true;
}

grid.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (!card) return;
  const i = Number(card.dataset.i), picture = event.target.closest(".picture");
  card.focus({preventScroll: true});
  if (event.target.closest(".zoom")) openView(i);
  else if (event.target.closest(".play")) playOrPause(i);
  else if (picture) play(i, shareOfClick(picture, event));
});
grid.addEventListener("dblclick", (event) => {
  const card = event.target.closest(".card");
  if (card && !event.target.closest("button")) openView(Number(card.dataset.i));
});
grid.addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (!card) return;
  activate(Number(card.dataset.place), {focus: false});
  placeStop(active);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const at = event.target, typing = at.matches("input[type=search], select");
  if (typing) {
    if (event.key === "Escape" && at === $("find")) change({find: ""}), at.blur();
    else if ((event.key === "Enter" || event.key === "ArrowDown") && at === $("find")) activate(0), event.preventDefault();
    return;
  }
  if (view.open ? viewKey(event) : pageKey(event)) event.preventDefault();
});

function pageKey(event) {
  const {key, target} = event, onButton = target.closest("button, a") !== null;
  if (key === " " && !onButton) return player.sound ? player.toggle() : shown.length && play(shown[active]), true;
  if (key === "Enter" && !onButton) return shown.length && play(shown[active]), true;
  if (key === "/") return $("find").focus(), $("find").select(), true;
  if (key === "?") return $("keys").showModal(), true;
  if (key.toLowerCase() === "e") return look(), true;
  if (key.toLowerCase() === "z" && shown.length) return openView(shown[active]), true;
  if (/^[0-9]$/.test(key)) return chooseLabel(Number(key)), true;
  return move(key);
}

// Tools ---------------------------------------------------------------------------------------------

const counts = index.labels.map(() => 0);
for (let i = 0; i < index.count; i++) counts[cell("label", i)]++;

function chooseLabel(number) {
  const name = number ? index.labels[number - 1] : "";
  if (number && name === undefined) return;
  const wanted = number ? labelName(name) : "";
  change({label: wanted === state.label ? "" : wanted, said: ""});
}

// Shows what the model looked at, in the pictures of which that is known.
function look() {
  if (!$("looked")) return;
  change({looked: !state.looked, show: state.looked ? "" : "looked"});
  say(state.looked ? "What the model looked at is shown" : "The pictures are shown as they are");
}

function makeTools() {
  document.body.classList.toggle("plain", !sorted && index.groups.length === 1 && !index.scored.length);
  const options = [["name", "Name"], ["seconds", "Duration"]];
  if (sorted) options.unshift(["label", index.facet[0].toUpperCase() + index.facet.slice(1)]);
  if (index.scored.length) {
    options.push(["wrong", "Most wrong first"], ["said", "Most certain first"]);
    index.scored.forEach((name, k) => options.push([`p${k}`, `Probability of ${name}`]));
  }
  $("sort").append(...options.map(([value, text]) => new Option(text, value)));
  const chips = [["", "all", index.count], ...index.labels.map((label, k) => [labelName(label), labelName(label), counts[k]])];
  if (sorted) {
    chips.forEach(([value, text, count], number) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.value = value;
      if (number) chip.append(dot(index.labels[number - 1]));
      chip.append(text, small(count));
      if (number < 10) chip.setAttribute("aria-keyshortcuts", number), (chip.title = `Key ${number}`);
      chip.addEventListener("click", () => chooseLabel(number));
      $("classes").append(chip);
    });
  }
  for (const control of ["find", "sort", "show"]) {
    $(control)?.addEventListener("input", (event) => change({[control]: event.target.value}));
  }
  $("reverse").addEventListener("click", () => change({reversed: !state.reversed}));
  for (const button of ["looked", "view-looked"]) $(button)?.addEventListener("click", look);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("all").addEventListener("click", () => change({label: "", said: "", find: "", show: ""}));
  $("bar-play").addEventListener("click", () => player.toggle());
  $("bar-name").addEventListener("click", () => {
    const place = shown.indexOf(player.sound.i);
    if (place < 0) change({label: "", said: "", find: "", show: ""});
    activate(shown.indexOf(player.sound.i));
  });
}

function change(what) {
  Object.assign(state, what);
  const address = new URLSearchParams(
    Object.entries(state).filter(([name, value]) => value && !(name === "sort" && value === usual)).map(([n, v]) => [n, String(v)]));
  history.replaceState(null, "", `#${address}`);
  show();
}

// A report links to recordings by what they are and what was said of them: #label=murmur&said=normal
function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  for (const name of ["label", "said", "find", "show"]) state[name] = address.get(name) ?? "";
  state.sort = address.get("sort") in keys ? address.get("sort") : usual;
  for (const name of ["reversed", "looked"]) state[name] = address.get(name) === "true";
}

function show() {
  choose();
  $("find").value = state.find;
  $("sort").value = state.sort;
  if ($("show")) $("show").value = state.show;
  $("reverse").setAttribute("aria-pressed", state.reversed);
  document.body.classList.toggle("looked", state.looked);
  for (const button of ["looked", "view-looked"]) $(button)?.setAttribute("aria-pressed", state.looked);
  if ($("legend")) $("legend").hidden = !state.looked;
  for (const chip of $("classes").children) chip.setAttribute("aria-pressed", chip.value === state.label);
  const all = index.count === 1 ? "1 picture" : `${index.count} pictures`;
  const of = shown.length === index.count ? all : `${shown.length} of ${all}`;
  $("count").textContent = state.said ? `${of}, said to be ${state.said}` : of;
  layOut();
}

makeTools();
readAddress();
show();
let drawing = 0;
addEventListener("scroll", () => { drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); }); }, {passive: true});
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; layOut(); } else draw(); });
addEventListener("hashchange", () => { readAddress(); show(); });
