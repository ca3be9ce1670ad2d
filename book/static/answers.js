// A box for an answer: judged in the page by the values and hints of the exercise, as `check` does.

function near(a, b, tol) {
  return Math.abs(a - b) <= tol + tol * Math.abs(b);
}

// What is written: 0.5, 0,5, 1/2, 1e-3, sqrt(2), 3*sqrt(2)/4. Anything else is no number here.
function readNumber(text) {
  const clean = text.trim().replace(/−/g, "-").replace(/^(-?\d+),(\d+)$/, "$1.$2").replace(/\s/g, "");
  const factor = "(?:sqrt\\((\\d+(?:\\.\\d+)?)\\)|(\\d+(?:\\.\\d*)?(?:e[+-]?\\d+)?|\\.\\d+))";
  if (!new RegExp(`^-?${factor}(?:[*/]${factor})*$`, "i").test(clean)) return NaN;
  let value = clean.startsWith("-") ? -1 : 1;
  for (const [, sign, root, number] of clean.replace(/^-/, "").matchAll(new RegExp(`([*/]?)${factor}`, "gi"))) {
    const one = root === undefined ? Number(number) : Math.sqrt(Number(root));
    value = sign === "/" ? value / one : value * one;
  }
  return value;
}

function judge(data, text) {
  if (!data.number) {
    const given = text.trim().replace(/^["']|["']$/g, "").toLowerCase();
    if (data.right.some(one => one.toLowerCase() === given)) return {passed: true};
    const known = data.mistakes.find(([answer]) => String(answer).toLowerCase() === given);
    return {passed: false, hint: known ? known[1] : "This is none of the words: which are they?"};
  }
  const got = readNumber(text);
  if (Number.isNaN(got)) return {passed: false, hint: "A number is needed, such as 0.5, 1/2 or sqrt(2)."};
  const [least, greatest] = data.right;
  if (least <= got && got <= greatest) return {passed: true};
  const known = data.mistakes.find(([answer]) => near(got, answer, 1e-4));
  if (known) return {passed: false, hint: known[1]};
  const side = got > greatest ? "large" : "small";
  return {passed: false, hint: `This is not the number we look for, but too ${side}. ${data.otherwise}`.trim()};
}

function judgeForm(form) {
  const data = JSON.parse(form.querySelector("script").textContent);
  const said = form.querySelector("output");
  form.addEventListener("submit", event => {
    event.preventDefault();
    const text = form.elements.answer.value;
    const found = text.trim() ? judge(data, text) : null;
    form.dataset.state = found === null ? "open" : found.passed ? "passed" : "wrong";
    const name = form.dataset.name;
    said.textContent = found === null ? `○ ${name}: not tried yet`
      : found.passed ? `✓ ${name}: passed` : `✗ ${name}: not yet. ${found.hint}`;
  });
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".lt-answer").forEach(judgeForm));
