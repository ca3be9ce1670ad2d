// A slider of the book: native controls over pictures that were drawn when the book was built.
// A figure's pictures are fetched when it comes near the window; then a move shows one at once.

function pictureOf(controls, places) {
  return controls.reduce((sum, one, k) => sum * one.labels.length + places[k], 0);
}

function makeControl(one, moved) {
  const label = document.createElement("label");
  const name = document.createElement("span");
  name.textContent = one.name;
  label.append(name);
  if (one.menu) {
    const menu = document.createElement("select");
    one.labels.forEach((text, k) => menu.add(new Option(text, k, k === one.start, k === one.start)));
    menu.addEventListener("change", () => moved(menu.selectedIndex));
    label.append(menu);
    return label;
  }
  const range = document.createElement("input");
  const value = document.createElement("output");
  Object.assign(range, {type: "range", min: 0, max: one.labels.length - 1, step: 1});
  range.value = one.start;
  const say = () => {
    value.textContent = one.labels[range.value];
    range.setAttribute("aria-valuetext", one.labels[range.value]);
  };
  range.addEventListener("input", () => { say(); moved(Number(range.value)); });
  say();
  label.append(range, value);
  return label;
}

function bringToLife(figure) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const image = figure.querySelector("img");
  const caption = figure.querySelector("figcaption");
  const root = image.src.slice(0, image.src.lastIndexOf("/") + 1);
  const places = data.controls.map(one => one.start);
  const loaded = new Map();
  const picture = k => {
    const name = data.pictures[k];
    if (!loaded.has(name)) {
      const made = new Image();
      made.src = root + name;
      loaded.set(name, made);
    }
    return loaded.get(name);
  };
  const show = () => {
    const k = pictureOf(data.controls, places);
    image.src = picture(k).src;
    image.alt = caption.textContent = data.statements[k];
  };
  const controls = figure.querySelector(".lt-controls");
  data.controls.forEach((one, k) => controls.append(makeControl(one, to => { places[k] = to; show(); })));
  new IntersectionObserver((seen, observer) => {
    if (seen.some(one => one.isIntersecting)) {
      observer.disconnect();
      data.pictures.forEach((_, k) => picture(k));
    }
  }, {rootMargin: "300px"}).observe(figure);
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".lt-slider").forEach(bringToLife));

// On a small window a picture is small: a tap enlarges it, another one makes it small again.
document.addEventListener("click", event => {
  if (event.target.matches(".cell_output img")) event.target.classList.toggle("lt-large");
});

// Paper is light, and shows what is folded away because it would answer a question too early.
let before = null;
window.addEventListener("beforeprint", () => {
  const page = document.documentElement;
  before = {theme: page.dataset.theme, folded: [...document.querySelectorAll("details.hide:not([open])")]};
  page.dataset.theme = "light";
  before.folded.forEach(one => { one.open = true; });
});
window.addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = before.theme;
  before.folded.forEach(one => { one.open = false; });
});
