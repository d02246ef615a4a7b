// The examples of a report: each plays its recording, which is part of the page.
const pictures = new Map();
for (const picture of document.querySelectorAll(".picture")) {
  placePlot(picture, JSON.parse(picture.dataset.plot));
  if (!picture.dataset.sound) continue;
  const sound = {url: picture.dataset.sound, ...JSON.parse(picture.dataset.times)};
  pictures.set(picture, sound);
  picture.querySelector(".sheet").addEventListener("click", (event) =>
    player.play(sound, player.time(sound, shareOfClick(picture, event))));
  picture.querySelector(".play").addEventListener("click", () =>
    player.sound === sound ? player.toggle() : player.play(sound));
}
player.changed = () => {
  for (const [picture, sound] of pictures) showLine(picture, sound);
};
