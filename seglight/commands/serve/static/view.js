// What part of an image is seen, in all panes alike.

const CLOSEST = 64;

const actualScale = () => 1 / window.devicePixelRatio; // changes with the screen, and with the browser's own zoom

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** `scale` CSS pixels for a pixel of the image, and the point (x, y) of the image in the middle of the frame. */
export class View {
  constructor() {
    this.image = { width: 1, height: 1 };
    this.frame = { width: 1, height: 1 };
    this.fit();
  }

  /** Scale at which the whole image just fits. */
  get whole() {
    return Math.min(this.frame.width / this.image.width, this.frame.height / this.image.height);
  }

  /** Show another image, all of it. */
  show(width, height) {
    this.image = { width, height };
    this.fit();
  }

  /** The frame has another size. */
  resize(width, height) {
    this.frame = { width: Math.max(1, width), height: Math.max(1, height) };
    if (this.fitted) this.fit();
    else this.#keepInside();
  }

  /** Show all of the image. */
  fit() {
    this.scale = this.whole;
    this.x = this.image.width / 2;
    this.y = this.image.height / 2;
    this.fitted = true;
  }

  /** Change the scale; the point of the image at a place of the frame stays there. */
  zoom(factor, left = this.frame.width / 2, top = this.frame.height / 2) {
    const fixed = this.at(left, top);
    this.scale = clamp(this.scale * factor, Math.min(actualScale(), this.whole), Math.max(CLOSEST, this.whole));
    this.x = fixed.x - (left - this.frame.width / 2) / this.scale;
    this.y = fixed.y - (top - this.frame.height / 2) / this.scale;
    this.fitted = this.scale === this.whole;
    this.#keepInside();
  }

  /** Show a pixel of the image by one of the screen; the point at a place of the frame stays there. */
  actual(left, top) {
    this.zoom(actualScale() / this.scale, left, top);
  }

  /** Move the image by CSS pixels. */
  move(right, down) {
    this.x -= right / this.scale;
    this.y -= down / this.scale;
    this.#keepInside();
  }

  /** Move the image as little as possible, so that a point of it is seen. */
  reveal(x, y) {
    const across = (this.frame.width / this.scale) * 0.45;
    const down = (this.frame.height / this.scale) * 0.45;
    this.x = clamp(this.x, x - across, x + across);
    this.y = clamp(this.y, y - down, y + down);
    this.#keepInside();
  }

  /** Point of the image at a place of the frame. */
  at(left, top) {
    return {
      x: this.x + (left - this.frame.width / 2) / this.scale,
      y: this.y + (top - this.frame.height / 2) / this.scale,
    };
  }

  /** Place in the frame of a point of the image. */
  place(x, y) {
    return {
      left: (x - this.x) * this.scale + this.frame.width / 2,
      top: (y - this.y) * this.scale + this.frame.height / 2,
    };
  }

  #keepInside() {
    const across = Math.min(this.frame.width / this.scale, this.image.width) / 2;
    const down = Math.min(this.frame.height / this.scale, this.image.height) / 2;
    this.x = clamp(this.x, across, this.image.width - across);
    this.y = clamp(this.y, down, this.image.height - down);
  }
}
