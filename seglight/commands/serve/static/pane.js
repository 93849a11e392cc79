// One view of the image with the label map of one model.

import { attach } from "./gestures.js";

/** A pane of the stage. `events` are those of `attach`, and `download(kind, pane)`. */
export class Pane {
  constructor(view, events) {
    this.element = document.getElementById("pane").content.cloneNode(true).firstElementChild;
    const find = (selector) => this.element.querySelector(selector);
    this.view = view;
    this.heading = find("h2");
    this.frame = find(".frame");
    this.pictureCanvas = find(".picture");
    this.labelsCanvas = find(".labels");
    this.cross = find(".cross");
    this.output = find("output");
    this.swatch = find(".swatch");
    this.note = find(".note");
    this.picture = null;
    this.result = null;
    this.colors = null;
    this.aloud = false;
    attach(this.frame, view, events);
    this.buttons = ["png", "overlay", "coco"].map((kind) => {
      const button = find(`button.${kind}`);
      button.addEventListener("click", () => events.download(kind, this));
      return button;
    });
    this.setModel("");
  }

  /** Name the model that is shown. */
  setModel(name) {
    this.heading.textContent = name;
    this.frame.setAttribute("aria-label", `Image and label map of ${name}`);
    this.element.querySelector(".downloads").setAttribute("aria-label", `Download what ${name} predicts`);
  }

  /** Show a label map, or none. */
  setResult(result, hidden) {
    this.result = result;
    this.colors = result?.colors(hidden) ?? null;
    for (const button of this.buttons) {
      button.disabled = result === null;
    }
    this.setNote(result?.note ?? "");
  }

  /** Show why there are no probabilities. */
  setNote(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  /** Tell the class at a pixel, or nothing; aloud only where a key has asked, also when its probability arrives later. */
  read(point, aloud = this.aloud) {
    this.aloud = aloud;
    this.output.setAttribute("aria-live", aloud ? "polite" : "off");
    const found = point && this.result?.at(point.x, point.y);
    this.swatch.hidden = !found;
    this.cross.hidden = !point;
    if (point) this.#placeCross(point);
    if (found) {
      this.swatch.style.backgroundColor = `rgb(${found.color.join(" ")})`;
      const sure = found.percent === null ? "" : `, ${found.percent} %`;
      this.output.textContent = `${found.name}${sure} (x ${point.x}, y ${point.y})`;
    } else {
      this.output.textContent = point ? `x ${point.x}, y ${point.y}` : "";
    }
  }

  #placeCross(point) {
    const { left, top } = this.view.place(point.x + 0.5, point.y + 0.5);
    this.cross.style.transform = `translate(${left}px, ${top}px)`;
  }

  /** Draw what is seen. */
  draw(point) {
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.pictureCanvas, this.labelsCanvas]) {
      const [width, height] = [this.view.frame.width, this.view.frame.height].map((side) => Math.round(side * ratio));
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
    }
    this.#drawPicture(ratio);
    this.#drawLabels(ratio);
    if (point) this.#placeCross(point);
  }

  #drawPicture(ratio) {
    const context = this.pictureCanvas.getContext("2d");
    context.clearRect(0, 0, this.pictureCanvas.width, this.pictureCanvas.height);
    if (!this.picture) return;
    const scale = this.view.scale * ratio;
    const edges = (x, y) => Object.values(this.view.place(x, y)).map((edge) => Math.round(edge * ratio));
    const [left, top] = edges(0, 0); // whole screen pixels: those that have a label
    const [right, bottom] = edges(this.picture.width, this.picture.height);
    context.imageSmoothingEnabled = scale < 2;
    context.drawImage(this.picture.at(scale), left, top, right - left, bottom - top);
  }

  #drawLabels(ratio) {
    const { width, height } = this.labelsCanvas;
    const context = this.labelsCanvas.getContext("2d");
    if (!this.result) {
      context.clearRect(0, 0, width, height);
      return;
    }
    const { values, width: across, height: down } = this.result;
    const columns = this.#pixels(width, ratio, across, "x");
    const rows = this.#pixels(height, ratio, down, "y");
    const first = columns.findIndex((x) => x >= 0);
    const last = columns.findLastIndex((x) => x >= 0);
    const image = new ImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    if (first >= 0) {
      rows.forEach((y, row) => {
        if (y < 0) return;
        for (let column = first; column <= last; column++) {
          out[row * width + column] = this.colors[values[y * across + columns[column]]];
        }
      });
    }
    context.putImageData(image, 0, 0);
  }

  /** The pixel of the image below each of a row or column of screen pixels, or -1. */
  #pixels(count, ratio, side, axis) {
    const origin = this.view.at(0, 0)[axis];
    const step = 1 / (ratio * this.view.scale);
    return Int32Array.from({ length: count }, (_, index) => {
      const pixel = Math.floor(origin + (index + 0.5) * step);
      return pixel >= 0 && pixel < side ? pixel : -1;
    });
  }
}
