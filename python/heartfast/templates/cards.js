// A card: a picture, what is known of it, and what a model says of it.
function small(text) {
  const element = document.createElement("small");
  element.textContent = text;
  return element;
}

function dot(label) {
  const element = document.createElement("span");
  element.className = "dot";
  element.style.setProperty("--of", colour(label));
  return element;
}

const template = $("card").content.firstElementChild;
function makeCard(place, column) {
  const i = shown[place], card = template.cloneNode(true);
  const part = (name) => card.querySelector(name);
  const name = titleOf(i), why = refusal(i);
  card.dataset.place = place;
  card.dataset.i = i;
  card.setAttribute("aria-colindex", column + 1);
  card.setAttribute("aria-label", describe(i));
  card.classList.toggle("silent", why !== "");
  part("img").src = pictureOf(i);
  part("img").alt = `Spectrogram of ${name}`;
  placePlot(part(".picture"), listed("plot", i));
  part(".play").setAttribute("aria-label", `Play ${name}`);
  part(".zoom").setAttribute("aria-label", `Zoom ${name}`);
  part(".name").textContent = name;
  part(".name").title = name;
  if (secondsOf(i) !== null) part(".long").textContent = `${secondsOf(i).toFixed(1)} s`;
  part(".facts").append(...facts(i));
  part(".note").textContent = why;
  part(".note").classList.toggle("kept", anySilent);
  fillScores(part(".scores"), i, LEAST_SCORES);
  layOver(part(".plot"), i);
  showLine(part(".picture"), sounds.get(i) ?? {});
  return card;
}

// What the model looked at, over the spectrogram.
function layOver(plot, i) {
  plot.querySelector(".layer")?.remove();
  if (!lookedOf(i)) return;
  const layer = document.createElement("img");
  layer.className = "layer";
  layer.alt = "";
  layer.src = `data:image/png;base64,${lookedOf(i)[0]}`;
  plot.prepend(layer);
}

function facts(i) {
  const parts = [], right = isRight(i), group = listed("group", i);
  if (right !== null) {
    const badge = document.createElement("span");
    badge.className = right ? "badge right" : "badge wrong";
    badge.textContent = right ? "✓ right" : `✗ ${index.scored[saidOf(i)]}`;
    badge.title = right ? "" : `The model says ${index.scored[saidOf(i)]}`;
    parts.push(badge);
  }
  const label = labelName(labelOf(i));
  if (label) parts.push(dot(labelOf(i)));
  parts.push([label, group && `group ${group}`].filter(Boolean).join(" · "));
  return parts;
}

function describe(i) {
  const right = isRight(i), seconds = secondsOf(i);
  const parts = [titleOf(i), labelName(labelOf(i))];
  if (listed("group", i)) parts.push(`group ${listed("group", i)}`);
  if (seconds !== null) parts.push(`${seconds.toFixed(1)} seconds`);
  if (scoresOf(i)) {
    const sure = Math.round(100 * scoresOf(i)[saidOf(i)]);
    parts.push(`said ${index.scored[saidOf(i)]}, ${sure} percent`);
  }
  if (right !== null) parts.push(right ? "right" : "wrong");
  if (refusal(i)) parts.push(refusal(i));
  if (lookedOf(i)) parts.push(`looked at: ${lookedOf(i)[1]}`);
  return parts.filter(Boolean).join(", ");
}

// Bars: the own class and what was said first, where there is no room for all.
function fillScores(element, i, most) {
  element.replaceChildren();
  const scores = scoresOf(i);
  if (!index.scored.length) return;
  if (!scores) {
    const none = document.createElement("span");
    none.textContent = "not scored";
    element.append(none, ...Array.from({length: 3 * Math.min(most, index.scored.length) - 1}, () => document.createElement("span")));
    for (const child of element.children) child.append("\u200b");
    return;
  }
  let classes = index.scored.map((_, k) => k);
  if (classes.length > most) {
    const weight = (k) => scores[k] + (k === actualOf(i) ? 2 : 0);
    classes = classes.sort((a, b) => weight(b) - weight(a)).slice(0, most).sort((a, b) => a - b);
  }
  for (const k of classes) {
    const name = document.createElement("span"), track = document.createElement("span");
    const bar = document.createElement("b"), number = document.createElement("output");
    name.textContent = index.scored[k];
    name.classList.toggle("actual", k === actualOf(i));
    track.className = "track";
    bar.style.width = `${100 * scores[k]}%`;
    if (k === saidOf(i) && isRight(i) !== null) bar.className = isRight(i) ? "right" : "wrong";
    track.append(bar);
    number.textContent = scores[k].toFixed(2);
    element.append(name, track, number);
  }
}
