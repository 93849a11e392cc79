// A model's label map of an image, and what is made from it.

import { percent } from "./classes.js";
import { decodePng } from "./png.js";

const ROWS = 4e6; // pixels of a band of an overlay

/** Labels of an image by a model: index map, colours, shares, and probabilities as soon as they are there. */
export class Result {
  /** Decode a label map from its PNG. */
  static async of(model, png) {
    return new Result(model, png, await decodePng(png));
  }

  constructor(model, png, { width, height, values }) {
    this.model = model;
    this.png = png;
    this.width = width;
    this.height = height;
    this.values = values;
    this.confidence = null;
    this.note = "";
    this.size = values.BYTES_PER_ELEMENT === 1 ? 2 ** 8 : 2 ** 16; // number of values that a label can have
    this.counts = new Float64Array(this.size);
    for (const value of values) {
      this.counts[value] += 1;
    }
  }

  /** Fraction of the pixels of a class. */
  share(index) {
    return this.counts[index] / this.values.length;
  }

  /** The three classes with the largest shares, as a line. */
  summary() {
    const { name, classes } = this.model;
    const order = classes.map((_, index) => index).sort((a, b) => this.share(b) - this.share(a));
    const most = order.slice(0, 3).filter((index) => this.share(index) > 0);
    return `${name}: ${most.map((index) => `${classes[index].name} ${percent(this.share(index))}`).join(", ")}`;
  }

  /** Class at a pixel: its index, name, colour, and probability in percent or null. */
  at(x, y) {
    const place = y * this.width + x;
    const index = this.values[place];
    const { name, color } = this.model.classes[index] ?? { name: "no data", color: [0, 0, 0] };
    const percent = this.confidence === null ? null : Math.round((this.confidence[place] / 255) * 100);
    return { index, name, color, percent };
  }

  /** Colours by label as RGBA in the order of bytes of ImageData; hidden classes are transparent. */
  colors(hidden) {
    const bytes = new Uint8ClampedArray(4 * this.size);
    this.model.classes.forEach(({ name, color }, index) => {
      if (!hidden.has(name)) bytes.set([...color, 255], 4 * index);
    });
    return new Uint32Array(bytes.buffer);
  }

  /** The image under the label map at full size, as it is displayed: a PNG. */
  async overlay(picture, hidden, opacity) {
    const { width, height, values } = this;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.drawImage(picture.whole, 0, 0);
    context.globalAlpha = opacity;
    const colors = this.colors(hidden);
    const step = Math.min(height, Math.max(1, Math.floor(ROWS / width)));
    const band = new OffscreenCanvas(width, step);
    for (let top = 0; top < height; top += step) {
      const rows = Math.min(step, height - top);
      const part = new ImageData(width, rows);
      const out = new Uint32Array(part.data.buffer);
      for (let index = 0, from = top * width; index < out.length; index++) {
        out[index] = colors[values[from + index]];
      }
      band.getContext("2d").putImageData(part, 0, 0);
      context.drawImage(band, 0, 0, width, rows, 0, top, width, rows);
    }
    return await canvas.convertToBlob({ type: "image/png" });
  }
}

/** Fraction of the pixels to which two results give a class of the same name, or no data; null if the sizes differ. */
export function agreement(one, other) {
  if (one.width !== other.width || one.height !== other.height) return null;
  const indices = one.model.classes.map(({ name }) => other.model.classes.findIndex((entry) => entry.name === name));
  let same = 0;
  for (let place = 0; place < one.values.length; place++) {
    const index = indices[one.values[place]]; // undefined where there is no data
    const label = other.values[place];
    if (index === undefined ? label >= other.model.classes.length : index === label) same += 1;
  }
  return same / one.values.length;
}
