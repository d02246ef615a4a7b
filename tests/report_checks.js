// What tests ask a page: how readable its colours are, and whether everything has a name.

// The contrast of every text with what is behind it, as WCAG 2 has it, with the text.
function contrasts() {
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return numbers.length > 3 ? numbers : [...numbers, 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
    return layers.reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const luminance = (rgb) => rgb.map((c) => c / 255)
    .map((c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, .play") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const under = behind(element);
    const ink = over(parse(element.closest("svg") ? style.fill : style.color), under);
    const [bright, dark] = [luminance(ink), luminance(under)].sort((x, y) => y - x);
    found.push([(bright + .05) / (dark + .05), node.data.trim().slice(0, 40)]);
  }
  return found;
}

function headingLevels() {
  return [...document.querySelectorAll("h1, h2, h3, h4, h5")].map((heading) => Number(heading.tagName[1]));
}

// Pictures and drawings that a reader who cannot see them is told nothing of.
function unnamed() {
  const pictures = [...document.images].filter((image) => !image.alt);
  const drawn = [...document.querySelectorAll("svg:not([aria-hidden]), [role=img]")].filter((e) => !e.ariaLabel);
  return [...pictures, ...drawn].map((element) => element.outerHTML.slice(0, 80));
}

function overlappingTexts() {
  const cross = (x, y) => x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1;
  return [...document.querySelectorAll("svg.chart")].flatMap((svg) => {
    const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    return boxes.flatMap(([a, x], i) => boxes.slice(i + 1).filter(([, y]) => cross(x, y)).map(([b]) => [a, b]));
  });
}
