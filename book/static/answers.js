// A box for an answer: judged in the page by the values and hints of the exercise, as `check` does.

// What is written: 0.5, 0,5, 1/2, 1e-3, sqrt(2)/2, (3/2)^4, 2**-3. Anything else is no number here.
function readNumber(text) {
  const tokens = text.replace(/[−–]/g, "-").replace(/[·×]/g, "*").replace(/√/g, "sqrt")
    .match(/\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|\*\*|sqrt|[-+*/^()]|\S/gi) ?? [];
  let k = 0;
  const take = (...wanted) => wanted.includes(tokens[k]?.toLowerCase()) ? tokens[k++].toLowerCase() : null;
  const atom = () => {
    if (take("sqrt")) return Math.sqrt(atom());
    if (take("(")) {
      const inside = sum();
      return take(")") ? inside : NaN;
    }
    return /^[\d.]/.test(tokens[k] ?? "") ? Number(tokens[k++]) : NaN;
  };
  const signed = () => take("-") ? -signed() : take("+") ? signed() : power();
  const power = () => {
    const base = atom();
    return take("^", "**") ? base ** signed() : base;
  };
  const product = () => {
    let value = signed();
    for (let sign; (sign = take("*", "/"));) value = sign === "*" ? value * signed() : value / signed();
    return value;
  };
  const sum = () => {
    let value = product();
    for (let sign; (sign = take("+", "-"));) value = sign === "+" ? value + product() : value - product();
    return value;
  };
  const value = sum();
  return k === tokens.length && Number.isFinite(value) ? value : NaN;
}

// A comma or a blank before three digits may group thousands; another comma is a decimal point.
function readings(text) {
  const plain = text.trim();
  const grouped = /^[-+−]?\d{1,3}([,\s]\d{3})+(\.\d+)?$/.test(plain) ? [plain.replace(/[,\s]/g, "")] : [];
  return [plain.replace(/^([-+−]?\d+),(\d+)$/, "$1.$2"), ...grouped].map(readNumber).filter(one => !Number.isNaN(one));
}

function close(a, b, tol) {
  return Math.abs(a - b) <= tol + tol * Math.abs(b);
}

function nearly(a, b, share) {
  return !Number.isInteger(a) && Math.abs(a - b) <= share * Math.abs(b);
}

function judgeNumber(data, got) {
  const [least, greatest] = data.right;
  if (least <= got && got <= greatest) return {passed: true};
  const known = data.mistakes.find(([answer]) => close(got, answer, 1e-4));
  if (known) return {passed: false, hint: known[1]};
  if (data.nearly && nearly(got, data.value, data.share)) {
    return {passed: false, hint: data.nearly.replace("{got}", Number(got.toPrecision(10)))};
  }
  const rounded = data.mistakes.find(([answer]) => nearly(got, answer, data.share));
  if (rounded) return {passed: false, hint: rounded[1]};
  const side = got > data.value ? "large" : "small";
  return {passed: false, hint: `This is not the number we look for, but too ${side}. ${data.otherwise}`.trim()};
}

function judge(data, text) {
  if (data.number) {
    const found = readings(text).map(got => judgeNumber(data, got));
    const needed = "A number is needed, such as 0.5, −1/2, (3/2)^4, 1e-3 or sqrt(2).";
    return found.find(one => one.passed) ?? found[0] ?? {passed: false, hint: needed};
  }
  const plain = word => String(word).replace(/\s+/g, " ").replace(/^["'\s]+|["'\s.]+$/g, "").toLowerCase();
  const given = plain(text);
  if (data.right.some(one => plain(one) === given)) return {passed: true};
  const known = data.mistakes.find(([answer]) => plain(answer) === given);
  return {passed: false, hint: known ? known[1] : data.otherwise};
}

// Words, of which those between backticks are code.
function say(where, text) {
  where.replaceChildren(...text.split("`").map((part, k) => {
    const made = document.createElement(k % 2 ? "code" : "span");
    made.textContent = part;
    return made;
  }));
}

// The last answer is kept in this browser, and is there again when the page is.
function judgeForm(form) {
  const data = JSON.parse(form.querySelector("script").textContent);
  const name = form.dataset.name, box = form.elements.answer, key = `lipteach ${name}`;
  const show = () => {
    const found = box.value.trim() ? judge(data, box.value) : null;
    form.dataset.state = found === null ? "open" : found.passed ? "passed" : "wrong";
    say(form.querySelector("output"), found === null ? `○ ${name}: not tried yet`
      : found.passed ? `✓ ${name}: passed` : `✗ ${name}: not yet. ${found.hint}`);
  };
  form.addEventListener("submit", event => {
    event.preventDefault();
    show();
    try { localStorage.setItem(key, box.value); } catch { /* a browser may forbid it */ }
  });
  try { box.value = localStorage.getItem(key) ?? ""; } catch { /* as above */ }
  show();
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".lt-answer").forEach(judgeForm));
