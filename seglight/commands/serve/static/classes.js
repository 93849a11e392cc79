// Tables of the classes: colour, name, share in the image, and whether a class is displayed.

/**
 * Fill the tables.
 *
 * `results` are those on display; they share a table if their classes are the same. `hidden` is the set of the names of
 * hidden classes, and `toggle(name, shown)` is called when one is switched.
 */
export function fillTables(box, results, hidden, toggle) {
  const focused = document.activeElement?.dataset?.name;
  const groups = [];
  for (const result of results) {
    const key = JSON.stringify(result.model.classes);
    const group = groups.find((one) => one.key === key);
    if (group) group.results.push(result);
    else groups.push({ key, results: [result] });
  }
  box.replaceChildren(...groups.map((group) => tableOf(group.results, results.length > 1, hidden, toggle)));
  if (focused !== undefined) {
    [...box.querySelectorAll("input")].find((input) => input.dataset.name === focused)?.focus();
  }
}

function tableOf(results, titled, hidden, toggle) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  head.append(cell("th", "Class"), ...results.map((one) => cell("th", titled ? one.model.name : "Share")));
  const rows = results[0].model.classes.map(({ name, color }, index) => {
    const shares = results.map((one) => one.share(index));
    return { name, color, index, shares, most: Math.max(...shares) };
  });
  rows.sort((a, b) => b.most - a.most || a.index - b.index);
  const body = table.createTBody();
  for (const row of rows) {
    body.append(rowOf(row, hidden, toggle));
  }
  return table;
}

function rowOf({ name, color, shares, most }, hidden, toggle) {
  const row = document.createElement("tr");
  row.classList.toggle("absent", most === 0);
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = !hidden.has(name);
  box.dataset.name = name;
  box.addEventListener("change", () => toggle(name, box.checked));
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.backgroundColor = `rgb(${color.join(" ")})`;
  const label = document.createElement("label");
  label.append(box, swatch, text("span", name));
  const head = cell("th", "");
  head.scope = "row";
  head.append(label);
  row.append(head, ...shares.map((share) => cell("td", percent(share))));
  return row;
}

/** A fraction as text, "0 %" only for no pixel at all; its space does not break. */
export function percent(share) {
  const value = 100 * share;
  if (value === 0) return "0\u00a0%";
  if (value < 0.01) return "<\u00a00.01\u00a0%";
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)}\u00a0%`;
}

function cell(kind, content) {
  const found = text(kind, content);
  if (kind === "th") found.scope = "col";
  return found;
}

function text(kind, content) {
  const found = document.createElement(kind);
  found.textContent = content;
  return found;
}
