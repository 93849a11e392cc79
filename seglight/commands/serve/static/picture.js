// Decoded images. A large one also has a small copy, which is drawn as long as its pixels suffice.

const OVERVIEW = 2048;
const THUMB = 128; // pixels of height, twice that of the style, for fine screens

/** Decode a Blob by the browser; it throws if the browser does not read the format. */
export async function openPicture(blob) {
  const whole = await createImageBitmap(blob);
  const shrunk = OVERVIEW / Math.max(whole.width, whole.height);
  const small = shrunk < 0.5 ? await smaller(whole, shrunk) : null;
  return new Picture(whole, small);
}

class Picture {
  constructor(whole, small) {
    this.whole = whole;
    this.small = small;
    this.width = whole.width;
    this.height = whole.height;
  }

  /** What to draw at a number of screen pixels for each pixel of the image. */
  at(ratio) {
    return this.small && ratio * this.width <= this.small.width ? this.small : this.whole;
  }

  /** Draw it into a canvas of its own, as small as a thumbnail. */
  thumbnail() {
    const canvas = document.createElement("canvas");
    canvas.height = THUMB;
    canvas.width = Math.max(1, Math.min(3 * THUMB, Math.round((this.width / this.height) * THUMB)));
    canvas.getContext("2d").drawImage(this.small ?? this.whole, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  close() {
    this.whole.close();
    this.small?.close();
  }
}

function smaller(bitmap, factor) {
  const size = (side) => Math.max(1, Math.round(side * factor));
  return createImageBitmap(bitmap, {
    resizeWidth: size(bitmap.width),
    resizeHeight: size(bitmap.height),
    resizeQuality: "medium",
  });
}
