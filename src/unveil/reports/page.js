"use strict";
// Everything here is a comfort: the page is complete without it.
window.addEventListener("error", () => { document.getElementById("broken").hidden = false; });

const drawings = JSON.parse(document.getElementById("drawings").textContent);

for (const button of document.querySelectorAll("button.copy"))
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code").textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "copied"; }
    catch { getSelection().selectAllChildren(button.parentElement.querySelector("code")); button.textContent = "selected"; }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });

const root = document.documentElement, theme = document.querySelector("button.theme"), dark = matchMedia("(prefers-color-scheme: dark)");
const kept = (...what) => { try { return what.length ? localStorage.setItem("unveil-theme", ...what) : localStorage.getItem("unveil-theme"); } catch { return null; } };
const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
const offer = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.ariaLabel = `Show in ${isDark() ? "light" : "dark"} colours`; };
if (kept()) root.dataset.theme = kept();
theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; kept(root.dataset.theme); offer(); });
dark.addEventListener("change", offer);
theme.hidden = false;
offer();

const map = document.querySelector(".map");
if (map) explore(map);

function explore(map) {
  const svg = map.querySelector("svg[role=listbox]"), card = map.querySelector(".card");
  const circles = [...svg.querySelectorAll("circle")];
  let current = null;

  function select(circle, focus) {
    if (current) { current.setAttribute("aria-selected", "false"); current.tabIndex = -1; }
    current = circle;
    circle.setAttribute("aria-selected", "true");
    circle.tabIndex = 0;
    focus ||= circle === document.activeElement;  // which it would lose by being moved
    circle.parentElement.append(circle);
    if (focus) circle.focus({ preventScroll: true });
    card.querySelector(".drawing").innerHTML = drawings[circle.dataset.id];
    card.querySelector(".what").textContent = circle.getAttribute("aria-label");
  }

  const place = circle => [circle.cx.baseVal.value, circle.cy.baseVal.value];
  const seen = () => circles.filter(circle => !circle.classList.contains("off"));

  function nearest(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = null, least = 60 ** 2;
    for (const circle of seen()) {
      const [x, y] = place(circle), distance = (x - at.x) ** 2 + (y - at.y) ** 2;
      if (distance < least) { best = circle; least = distance; }
    }
    return best;
  }

  svg.addEventListener("pointermove", event => { const circle = nearest(event); if (circle && circle !== current) select(circle); });
  svg.addEventListener("mousedown", event => { const circle = nearest(event); event.preventDefault(); if (circle) select(circle, true); });

  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  svg.addEventListener("keydown", event => {
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const from = current || circles[0], [x, y] = place(from);
    let best = null, least = Infinity;
    for (const circle of seen()) {
      const [a, b] = place(circle);
      const along = (a - x) * way[0] + (b - y) * way[1], aside = Math.abs((a - x) * way[1] + (b - y) * way[0]);
      if (circle !== from && along > 0 && along + 2 * aside < least) { best = circle; least = along + 2 * aside; }
    }
    if (best) select(best, true);
  });
  // Not on the drawing itself: a listener for focus would let the drawing take it.
  map.addEventListener("focusin", event => { if (event.target !== current && event.target.matches("circle")) select(event.target); });

  function colour() {
    const way = map.dataset.way;
    for (const part of map.querySelectorAll(".by, .keys")) part.toggleAttribute("hidden", part.dataset.way !== way);
    const chosen = [...map.querySelectorAll(`.keys[data-way=${way}] input:checked`)].map(input => input.dataset.key);
    const off = key => chosen.length > 0 && !chosen.includes(key);
    for (const use of map.querySelectorAll(".by use")) use.classList.toggle("off", off(use.dataset.key));
    for (const circle of circles) circle.classList.toggle("off", off(circle.dataset[way]));
    const left = seen();
    map.querySelector(".count-of").textContent = `${left.length} of ${circles.length} larger dots shown`;
    if (left.length && !left.includes(current)) select(left[0]);
  }
  for (const input of map.querySelectorAll(".choice input"))
    input.addEventListener("change", () => { map.dataset.way = input.value; colour(); });
  for (const input of map.querySelectorAll(".keys input")) input.addEventListener("change", colour);
  for (const circle of circles) circle.tabIndex = -1;
  if (circles.length) select(circles[Math.floor(circles.length / 2)]);
}

root.dataset.ready = "yes";
