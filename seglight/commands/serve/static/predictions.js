// What models say about an image; each is asked once.

import { Refused, predict } from "./api.js";
import { decodePng } from "./png.js";
import { Result } from "./result.js";

const LARGEST = 8e6; // pixels up to which probabilities are asked for: they take 4 bytes a class and pixel

/** The label map of an image by a model. `task` is one of `Work`, and `part` the number of the request in it. */
export async function labelsOf(item, model, task, part) {
  const kept = keptOf(item, model);
  const { signal, busy } = task;
  kept.png ??= await predict(item.blob, model, "png", { signal, busy, progress: (x) => task.progress(part, x) });
  return await Result.of(model, kept.png);
}

/** The probabilities of the labels by pixel, 0 to 255, as `{ values }`; or why there are none, as `{ note }`. */
export async function confidenceOf(item, { model, values }, task) {
  if (!model.has_probabilities) {
    return { note: "No probabilities: use seglight export --probabilities." };
  }
  if (values.length > LARGEST) {
    return { note: `No probabilities: more than ${LARGEST / 1e6} megapixels.` };
  }
  const kept = keptOf(item, model);
  try {
    kept.confidence ??= await predict(item.blob, model, "confidence", { signal: task.signal });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { note: `No probabilities: ${error.message}` };
  }
  return { values: (await decodePng(kept.confidence)).values };
}

function keptOf(item, model) {
  const key = `${model.name} ${model.version}`;
  if (!item.results.has(key)) item.results.set(key, {});
  return item.results.get(key);
}
