// Files to save.

import { predict } from "./api.js";

/** Save a Blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Objects of an image by a model, in COCO's JSON. */
export async function fetchObjects(item, model, task) {
  const { signal, busy } = task;
  const blob = await predict(item.blob, model, "coco", { signal, busy, progress: (x) => task.progress(0, x) });
  const objects = JSON.parse(await blob.text());
  objects.images[0].file_name = item.name; // which the server does not know
  return new Blob([JSON.stringify(objects)], { type: "application/json" });
}
