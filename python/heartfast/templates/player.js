"use strict";
// One recording at a time, and a line that moves over every picture of it.
//
// A sound is {url, start, end, left, right}: what of the recording is played, and the times at the
// edges of its pictures' plots, in seconds of the recording. Unknown ends are null: the recording's.
const player = {
  audio: new Audio(),
  sound: null,
  changed: () => {}, // whatever is to be shown anew: the position, or what plays
  failed: () => {},

  get playing() { return this.sound !== null && !this.audio.paused; },
  get at() { return this.audio.currentTime; },
  get end() {
    const whole = Number.isFinite(this.audio.duration) ? this.audio.duration : Infinity;
    return Math.min(this.sound?.end ?? whole, whole);
  },

  play(sound, at = sound.start) {
    if (this.sound?.url !== sound.url) this.audio.src = sound.url;
    this.sound = sound;
    this.seek(at);
    this.audio.play().catch((error) => {
      if (error.name === "NotSupportedError") this.failed(sound); // others mean: not now
    });
  },
  toggle() {
    if (!this.sound) return;
    if (this.playing) this.audio.pause();
    else this.play(this.sound, this.at >= this.end - 0.02 ? this.sound.start : this.at);
  },
  seek(at) {
    const last = Number.isFinite(this.end) ? this.end : at;
    this.audio.currentTime = Math.max(this.sound.start, Math.min(at, last));
    this.changed();
  },
  // The time at a share of the way from the left of a plot to its right, and back.
  time(sound, share) {
    const left = sound.left ?? 0, right = sound.right ?? sound.end ?? this.audio.duration;
    return Number.isFinite(right) ? left + share * (right - left) : sound.start;
  },
  share(sound, at) {
    const left = sound.left ?? 0, right = sound.right ?? sound.end ?? this.audio.duration;
    return right > left ? Math.min(1, Math.max(0, (at - left) / (right - left))) : 0;
  },
};

{
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  const follow = () => {
    cancelAnimationFrame(frame);
    if (player.playing && player.at >= player.end) player.audio.pause();
    player.changed();
    if (player.playing && !calm.matches) frame = requestAnimationFrame(follow);
  };
  for (const event of ["play", "pause", "seeked", "timeupdate", "loadedmetadata"]) {
    player.audio.addEventListener(event, follow);
  }
  player.audio.addEventListener("error", () => player.sound && player.failed(player.sound));
}

// Lays out what is over a picture's image: `plot` is [ratio, left, top, right, bottom] in shares.
function placePlot(picture, plot) {
  const [ratio, left, top, right, bottom] = plot;
  const sheet = picture.querySelector(".sheet"), area = picture.querySelector(".plot");
  sheet.classList.toggle("whole", ratio !== 0);
  if (ratio) sheet.style.setProperty("--ratio", ratio);
  else if (ratio === null) {
    const image = sheet.querySelector("img");
    const measure = () => sheet.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    if (image.complete && image.naturalWidth) measure();
    else image.addEventListener("load", measure, {once: true});
  }
  const sides = {left, top, right: 1 - right, bottom: 1 - bottom};
  for (const [side, share] of Object.entries(sides)) area.style[side] = `${100 * share}%`;
}

// Where a click on a picture is in its plot, from 0 to 1.
function shareOfClick(picture, event) {
  const box = picture.querySelector(".plot").getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
}

// Moves the line of a picture, if it is one of what plays.
function showLine(picture, sound) {
  const current = player.sound !== null && player.sound === sound;
  picture.classList.toggle("current", current);
  picture.classList.toggle("playing", current && player.playing);
  const button = picture.querySelector(".play");
  const label = button?.ariaLabel.replace(/^\w+/, current && player.playing ? "Pause" : "Play");
  if (button && button.ariaLabel !== label) button.ariaLabel = label;
  if (current) {
    const line = picture.querySelector(".plot i");
    line.style.transform = `translateX(${100 * player.share(sound, player.at)}%)`;
  }
}

function clock(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const whole = Math.floor(seconds / 60);
  return `${whole}:${(seconds - 60 * whole).toFixed(1).padStart(4, "0")}`;
}
