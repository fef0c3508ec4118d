"use strict";

// The explorer: shows what was computed before; it computes nothing but where to draw.
const data = JSON.parse(document.getElementById("explorer-data").textContent);
const find = (id) => document.getElementById(id);
const [classifierPick, classPick, directionPick, slider] = ["pick-classifier", "pick-class", "pick-direction", "shift"].map(find);
const THUMB_PX = 22; // width of the slider's thumb, as in the style
const CURVE = { width: 1000, height: 140 };
const MOST_ROWS = 12, LEAST_SHOWN = 0.02; // classes in the table of probabilities; probability that is worth a row among more

const last = data.shifts_std.length - 1;
const farthest = data.shifts_std[last];
const formatProbability = (value) => value.toFixed(2);
const level = formatProbability(data.level);

function fill(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
}

function chosen() {
  const moves = data.classifiers[classifierPick.value][Number(classPick.value)];
  return moves[Number(directionPick.value)];
}

function offerDirections() {
  const moves = data.classifiers[classifierPick.value][Number(classPick.value)];
  fill(directionPick, moves.map((move, index) => {
    const sign = move.direction > 0 ? "+" : "\u2212";
    const end = move.crossing_std === null ? `not to ${level}` : `${level} at ${move.crossing_std.toFixed(1)} std`;
    return [index, `${move.rank}. ${move.name} (${sign}${move.dimension}), ${end}`];
  }));
  // The first one that fails says more than one that does nothing.
  directionPick.value = String(Math.max(0, moves.findIndex((move) => move.crossing_std !== null)));
  directionPick.disabled = moves.length === 0;
  slider.disabled = moves.length === 0;
  showDirection();
}

function drawLine(id, probabilities, meant) {
  const points = probabilities.map((row, index) => {
    const x = (data.shifts_std[index] / farthest) * CURVE.width;
    return `${x.toFixed(1)},${((1 - row[meant]) * CURVE.height).toFixed(1)}`;
  });
  find(id).setAttribute("points", points.join(" "));
}

function placeLine(id, share) {
  for (const end of ["x1", "x2"]) find(id).setAttribute(end, (share * CURVE.width).toFixed(1));
}

function showDirection() {
  const move = chosen();
  if (!move) return;
  const meant = Number(classPick.value);
  const name = data.class_names[meant];
  const frame = find("frame");
  frame.style.backgroundImage = `url(${data.moves[move.move].sprite})`;
  frame.style.backgroundSize = `${data.shifts_std.length * 100}% 100%`;
  drawLine("classifier-line", move.probabilities, meant);
  drawLine("judge-line", data.moves[move.move].judge, meant);
  const crosses = move.crossing_std !== null;
  const share = crosses ? move.crossing_std / farthest : 0;
  const mark = find("crossing");
  mark.hidden = !crosses;
  mark.style.left = `calc(${THUMB_PX / 2}px + (100% - ${THUMB_PX}px) * ${share})`;
  find("curve-mark").style.display = crosses ? "" : "none";
  placeLine("curve-mark", share);
  find("crossing-text").textContent = crosses
    ? `The classifier's probability of ${name} falls to ${level} at ${move.crossing_std.toFixed(2)} std (marked).`
    : move.in_doubt_at_start
      ? `The classifier is in doubt at the mean image already: its probability of ${name} is ${level} or less.`
      : `The classifier's probability of ${name} does not fall to ${level} within ${farthest} std.`;
  showFrame();
}

function judge(move, index, meant) {
  const names = data.class_names;
  const opinion = data.moves[move.move];
  const said = names[move.predicted[index]];
  const seen = names[opinion.judge_class[index]];
  const seenProbability = formatProbability(opinion.judge[index][opinion.judge_class[index]]);
  const sees = `The judge sees ${seen} (${seenProbability})`;
  const verdict = move.verdicts[index];
  if (verdict === "still right") return `The classifier says ${said}, as meant. ${sees}.`;
  return `The classifier says ${said} instead of ${names[meant]}. ${sees}: ${verdict}.`;
}

function showFrame() {
  const move = chosen();
  if (!move) return;
  const index = Number(slider.value);
  const meant = Number(classPick.value);
  const shift = `${data.shifts_std[index].toFixed(2).replace(/\.?0+$/, "")} std`;
  const text = judge(move, index, meant);
  const frame = find("frame");
  frame.style.backgroundPosition = `${(index / last) * 100}% 0`;
  frame.setAttribute("aria-label", `Generated image of class ${data.class_names[meant]}, moved by ${shift}. ${text}`);
  find("verdict").textContent = text;
  find("shift-value").textContent = shift;
  slider.setAttribute("aria-valuetext", shift);
  placeLine("curve-here", data.shifts_std[index] / farthest);
  const rows = find("bars").tBodies[0].rows;
  data.class_names.forEach((_, label) => {
    const row = rows[label];
    row.classList.toggle("meant", label === meant);
    row.querySelector("th").textContent = data.class_names[label] + (label === meant ? " (meant)" : "");
    let likely = label === meant;
    for (const [who, probabilities] of [["classifier", move.probabilities], ["judge", data.moves[move.move].judge]]) {
      const value = probabilities[index][label];
      row.querySelector(`.${who} .bar`).style.width = `${value * 100}%`;
      row.querySelector(`.${who} .value`).textContent = formatProbability(value);
      likely = likely || value >= LEAST_SHOWN;
    }
    // Of many classes only those that somebody thinks of.
    row.hidden = rows.length > MOST_ROWS && !likely;
  });
}

function makeRow() {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  row.append(head, ...["classifier", "judge"].map((who) => {
    const cell = document.createElement("td");
    cell.className = who;
    const inner = document.createElement("div");
    inner.className = "cell";
    const bars = document.createElement("div");
    const bar = document.createElement("div");
    bar.className = "bar";
    bars.append(bar);
    const value = document.createElement("span");
    value.className = "value";
    inner.append(bars, value);
    cell.append(inner);
    return cell;
  }));
  return row;
}

find("bars").tBodies[0].append(...data.class_names.map(makeRow));
find("farthest").textContent = `${farthest} std`;
slider.max = String(last);
slider.value = "0";
fill(classifierPick, Object.keys(data.classifiers).map((name) => [name, name]));
fill(classPick, data.class_names.map((name, index) => [index, name]));
classifierPick.addEventListener("change", offerDirections);
classPick.addEventListener("change", offerDirections);
directionPick.addEventListener("change", showDirection);
slider.addEventListener("input", showFrame);
offerDirections();

// Figures at the width of the page, or at their own in a frame that scrolls.
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => {
    const full = button.closest("figure").querySelector(".frame").classList.toggle("full");
    button.setAttribute("aria-pressed", String(full));
  });
}

find("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Cards change places in the document, so that keys and ears follow.
const sorter = document.querySelector(".sorter");
sorter.hidden = false;
for (const button of sorter.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    const key = button.dataset.key;
    const sign = key === "rank" ? 1 : -1;
    for (const list of document.querySelectorAll(".cards")) {
      list.append(...[...list.children].sort((one, other) =>
        sign * (one.dataset[key] - other.dataset[key]) || one.dataset.rank - other.dataset.rank));
    }
    for (const each of sorter.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
    find("sorted").textContent = `Sorted by ${button.textContent}`;
  });
}

// A link to what is folded opens it.
function openTarget() {
  const target = location.hash && find(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target.querySelector(":scope > details") || target; at; at = at.parentElement) {
    if (at.tagName === "DETAILS") at.open = true;
  }
  target.scrollIntoView();
}
window.addEventListener("hashchange", openTarget);
document.addEventListener("click", (event) => {
  // The same link a second time changes no hash.
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) openTarget();
});
openTarget();

// What is folded on the screen is printed all the same.
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
