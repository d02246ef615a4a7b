// What the page knows of its pictures, and whether this browser plays their recordings.
const index = JSON.parse(document.getElementById("index").textContent);

// A column is a list, or one value for all pictures.
const cell = (name, i) => (Array.isArray(index[name]) ? index[name][i] : index[name]);
const listed = (name, i) => index[name + "s"][cell(name, i)];
const fileOf = (i) => cell("file", i);
const stemOf = (i) => { // a file is an address, and not every byte is a letter
  const stem = fileOf(i).replace(/\.[^.]*$/, "");
  try { return decodeURIComponent(stem); } catch { return stem; }
};
const titleOf = (i) => cell("title", i) || stemOf(i);
const labelOf = (i) => listed("label", i);
const sorted = index.labels.length > 1; // else there is nothing to tell apart
const unnamed = !sorted ? "" : index.facet === "class" ? "unlabelled" : "no folder";
const labelName = (label) => label || unnamed;
const secondsOf = (i) => cell("seconds", i);
const pictureOf = (i) => listed("folder", i) + fileOf(i);
const scoresOf = (i) => index.scores[i] ?? null;
const lookedOf = (i) => index.looked[i] ?? null; // a PNG and a sentence
const saidOf = (i) => cell("said", i);
// The place of a picture's own class among the scores; -1 where it has none.
const actual = index.labels.map((label) => index.scored.indexOf(label));
const actualOf = (i) => actual[cell("label", i)];
const isRight = (i) => (scoresOf(i) && actualOf(i) >= 0 ? saidOf(i) === actualOf(i) : null);
const colour = (label) => `var(--c${index.labels.indexOf(label) % 9})`;

// Why a recording is not heard here; a browser is asked once for each type.
const probe = document.createElement("audio");
const refusals = index.sounds.map(([type, reason]) => (type && probe.canPlayType(type) ? "" : reason));
const failures = new Map(); // what the browser said it could play, and then could not
const refusal = (i) => failures.get(i) ?? refusals[cell("sound", i)];
const sounds = new Map();
function soundOf(i) {
  if (!sounds.has(i)) {
    const own = fileOf(i).replace(/\.[^.]*$/, ""), recording = cell("recording", i);
    const url = listed("place", i) + (recording.startsWith(".") ? own + recording : recording);
    const start = cell("start", i), seconds = secondsOf(i);
    const end = seconds === null ? null : start + seconds;
    sounds.set(i, {i, url, start, end, left: cell("left", i), right: cell("right", i)});
  }
  return sounds.get(i);
}
