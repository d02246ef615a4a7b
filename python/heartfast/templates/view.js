// The picture in full, with all that is known of it.
const view = $("view");
let viewed = 0;

function openView(i) {
  fillView(i);
  view.showModal();
  $("view-play").focus();
}

function fillView(i) {
  viewed = i;
  const picture = view.querySelector(".picture"), image = picture.querySelector("img");
  $("view-name").textContent = titleOf(i);
  image.src = pictureOf(i);
  image.alt = `Spectrogram of ${titleOf(i)}`;
  placePlot(picture, listed("plot", i));
  layOver(picture.querySelector(".plot"), i);
  if ($("view-looked")) $("view-looked").hidden = !lookedOf(i);
  picture.classList.toggle("silent", refusal(i) !== "");
  $("view-play").disabled = $("view-at").disabled = refusal(i) !== "";
  fillScores($("view-scores"), i, scoresOf(i) ? Infinity : 0);
  const place = shown.indexOf(i), seconds = secondsOf(i), start = cell("start", i);
  $("view-before").disabled = place <= 0;
  $("view-next").disabled = place < 0 || place >= shown.length - 1;
  const list = $("view-facts");
  list.replaceChildren();
  const add = (name, value) => {
    if (value === "" || value === null) return;
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.append(value);
    list.append(term, text);
  };
  add(index.facet[0].toUpperCase() + index.facet.slice(1), labelName(labelOf(i)));
  if (scoresOf(i)) add("Said", index.scored[saidOf(i)] + {true: ", right", false: ", wrong", null: ""}[isRight(i)]);
  if (lookedOf(i)) add("Looked at", `${lookedOf(i)[1]} Orange speaks for it, blue against it.`);
  add("Group", listed("group", i));
  if (seconds !== null) add("Duration", start ? `${seconds.toFixed(2)} s, from ${start.toFixed(2)} s on` : `${seconds.toFixed(2)} s`);
  add("Picture", link(pictureOf(i)));
  add("Recording", listed("sound", i)[0] ? link(soundOf(i).url) : refusal(i));
  if (listed("sound", i)[0] && refusal(i)) add("Sound", refusal(i));
  showPosition();
}

function link(url) {
  const anchor = document.createElement("a");
  anchor.href = url;
  try { anchor.textContent = decodeURIComponent(url); } catch { anchor.textContent = url; }
  return anchor;
}

function showPosition() {
  const sound = soundOf(viewed), current = player.sound === sound;
  showLine(view.querySelector(".picture"), sound);
  view.querySelector(".controls").classList.toggle("playing", current && player.playing);
  $("view-play").setAttribute("aria-label", current && player.playing ? "Pause" : "Play");
  const end = current ? player.end : sound.end, length = end === null ? NaN : end - sound.start;
  const at = current ? Math.max(0, player.at - sound.start) : 0;
  if (length > 0) $("view-at").value = Math.round((1000 * at) / length);
  $("view-at").setAttribute("aria-valuetext", `${at.toFixed(1)} seconds`);
  $("view-time").textContent = refusal(viewed) || [clock(at), clock(length)].filter(Boolean).join(" / ");
}

function step(by) {
  const place = shown.indexOf(viewed) + by, playing = player.playing;
  if (shown[place] === undefined) return;
  fillView(shown[place]);
  if (playing) play(shown[place]);
}

function viewKey({key, target}) {
  const onButton = target.closest("button, a") !== null, onRange = target === $("view-at");
  if (key === " " && (!onButton || target === $("view-play"))) return playOrPause(viewed), true;
  if (key === "Enter" && !onButton) return play(viewed), true;
  if (key.toLowerCase() === "e") return look(), true;
  if (key === "ArrowLeft" && !onRange) return step(-1), true;
  if (key === "ArrowRight" && !onRange) return step(1), true;
  return false;
}

view.querySelector(".sheet").addEventListener("click", (event) =>
  play(viewed, shareOfClick(view.querySelector(".picture"), event)));
$("view-play").addEventListener("click", () => playOrPause(viewed));
$("view-before").addEventListener("click", () => step(-1));
$("view-next").addEventListener("click", () => step(1));
$("view-at").addEventListener("input", (event) => {
  const sound = soundOf(viewed), length = (player.sound === sound ? player.end : sound.end) - sound.start;
  const at = sound.start + (event.target.value / 1000) * length;
  if (player.sound === sound) player.seek(at);
  else if (!refusal(viewed)) player.play(sound, Number.isFinite(at) ? at : sound.start);
});
view.addEventListener("close", () => shown.length && activate(Math.max(0, shown.indexOf(viewed))));
for (const dialog of [view, $("keys")]) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  $(`${dialog.id}-close`).addEventListener("click", () => dialog.close());
}
