// The models that are served, and which one or two of them are on display.

import { listModels } from "./api.js";

/** Whether a browser shows the images of a model as they are: 8-bit RGB. */
export function readsPictures({ bands, type }) {
  return type === "uint8" && bands.join() === "red,green,blue";
}

/** The two choices in the head of the page. */
export class Models {
  constructor(changed) {
    this.list = [];
    this.first = document.getElementById("first");
    this.second = document.getElementById("second");
    this.about = document.getElementById("about");
    for (const select of [this.first, this.second]) {
      select.addEventListener("change", () => {
        this.#describe();
        changed();
      });
    }
  }

  /** Ask the server which models there are: one of them may have been replaced. `task` has `signal` and `busy`. */
  async refresh(task) {
    this.list = await listModels(task);
    fill(this.first, this.list);
    fill(this.second, this.list, "no other");
    document.getElementById("comparison").hidden = this.list.length < 2;
    this.#describe();
  }

  /** The one or two models on display. */
  chosen() {
    const names = new Set([this.first.value, this.second.value]);
    return [...names].map((name) => this.list.find((model) => model.name === name)).filter(Boolean);
  }

  #describe() {
    const chosen = this.chosen();
    const texts = chosen.map((model) => {
      const { name, classes, version, size, bands, type } = model;
      const only = size ? `, images of ${size[1]} x ${size[0]} pixels only` : "";
      const read = readsPictures(model) ? "" : `, ${bands.length} bands of ${type} (${bands.join(", ")})`;
      return `${chosen.length > 1 ? `${name}: ` : ""}${classes.length} classes, version ${version}${only}${read}`;
    });
    this.about.textContent = texts.join("; ");
  }
}

function fill(select, models, none) {
  const key = JSON.stringify(models.map(({ name, ready }) => [name, ready]));
  if (select.dataset.key === key) return; // it may be open
  select.dataset.key = key;
  const before = select.value;
  const options = models.map(({ name, ready }) => new Option(ready ? name : `${name} (loading)`, name));
  select.replaceChildren(...(none ? [new Option(none, "")] : []), ...options);
  if (models.some(({ name }) => name === before)) select.value = before;
}
