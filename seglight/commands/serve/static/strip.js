// The images at hand as a row of buttons, and the examples.

import { fetchExample } from "./api.js";
import { readsPictures } from "./models.js";
import { openPicture } from "./picture.js";

const EXAMPLES = 6;
const LARGEST_THUMB = 5e6; // bytes of files that are decoded for their thumbnail before they are chosen

/** An image of the user: `results` keeps what has been predicted, by model. */
export class Item {
  constructor(blob, name) {
    this.blob = blob;
    this.name = name;
    this.results = new Map();
    this.button = null;
  }

  /** Name of a file to download, such as `street_camnet.png`. */
  fileName(suffix) {
    return `${this.name.replace(/\.[^.]*$/, "") || "image"}${suffix}`;
  }
}

/** Rows of images and examples; `chosen(item)` and `example(number)` are called on a click. */
export class Strip {
  constructor(chosen, example) {
    this.chosen = chosen;
    this.list = document.getElementById("items");
    this.examples = document.getElementById("examples");
    this.place = document.getElementById("place");
    this.shown = new Map(); // items of examples by their address
    this.thumbnails = Promise.resolve();
    for (let number = 1; number <= EXAMPLES; number++) {
      const button = this.#button(this.examples, `Example ${number}`, () => example(number));
      button.querySelector("span").classList.add("unseen");
    }
  }

  /** Add an image at the end. */
  add(item) {
    item.button = this.#button(this.list, item.name, () => this.chosen(item));
    item.button.title = item.name;
    if (item.blob.size > LARGEST_THUMB) return;
    this.thumbnails = this.thumbnails.then(async () => {
      try {
        const picture = await openPicture(item.blob);
        this.setThumbnail(item, picture);
        picture.close();
      } catch {
        // a format that this browser does not read
      }
    });
  }

  /** Give an image its thumbnail, if it has none. */
  setThumbnail(item, picture) {
    if (item.button.querySelector("canvas")) return;
    const canvas = picture.thumbnail();
    canvas.setAttribute("aria-hidden", "true");
    item.button.prepend(canvas);
  }

  /** Mark the image on display, and say that the others are labelled when they are chosen. */
  setCurrent(item) {
    const buttons = [...this.list.querySelectorAll("button")];
    for (const button of buttons) {
      button.removeAttribute("aria-current");
    }
    this.place.hidden = buttons.length < 2;
    this.place.textContent = `Image ${buttons.indexOf(item.button) + 1} of ${buttons.length}: click another one to label it.`;
    item.button.setAttribute("aria-current", "true");
    item.button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Mark an image by whether it could be predicted. */
  setFailed(item, failed) {
    item.button.classList.toggle("failed", failed);
  }

  /** An example in the size that a model takes, which is added when it is asked for first. */
  async example(number, model, signal) {
    const address = exampleAddress(number, model);
    if (!this.shown.has(address)) {
      const item = new Item(await fetchExample(address, signal), `example-${number}.png`);
      this.shown.set(address, item);
      this.add(item);
    }
    return this.shown.get(address);
  }

  /** Draw the examples in the size that a model takes; they are in RGB, and of no use to a model of other bands. */
  setExamples(model) {
    this.examples.hidden = !readsPictures(model);
    if (this.examples.hidden) return;
    for (const [index, button] of [...this.examples.querySelectorAll("button")].entries()) {
      const picture = button.querySelector("img") ?? button.insertBefore(new Image(), button.firstChild);
      picture.alt = "";
      const address = exampleAddress(index + 1, model);
      if (picture.getAttribute("src") !== address) picture.src = address;
    }
  }

  #button(list, name, click) {
    const button = document.createElement("button");
    const label = document.createElement("span");
    button.type = "button";
    label.textContent = name;
    button.append(label);
    button.addEventListener("click", click);
    const entry = document.createElement("li");
    entry.append(button);
    list.append(entry);
    return button;
  }
}

/** Address of an example for a model. */
function exampleAddress(number, { name, version }) {
  // the browser keeps it: another version may take another size
  return `page/examples/${number}.png?${new URLSearchParams({ model: name, version })}`;
}
