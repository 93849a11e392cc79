// The page: which image and which models are on display, and what happens when the server refuses or is gone.

import { Lost, Refused, fetchPicture, isAlive, pause } from "./api.js";
import { fillTables, percent } from "./classes.js";
import { fetchObjects, save } from "./downloads.js";
import { Models, readsPictures } from "./models.js";
import { Pane } from "./pane.js";
import { openPicture } from "./picture.js";
import { confidenceOf, labelsOf } from "./predictions.js";
import { agreement } from "./result.js";
import { watchSources } from "./sources.js";
import { Item, Strip } from "./strip.js";
import { View } from "./view.js";
import { Work } from "./work.js";

const RETRY = 3000; // milliseconds between looks for a server that is gone

const $ = (id) => document.getElementById(id);
const view = new View();
const work = new Work();
const strip = new Strip(show, showExample);
const models = new Models(() => current && show(current));
const events = { changed: redraw, asked: ask, cross: () => point, download };
const panes = [new Pane(view, events), new Pane(view, events)];
const hidden = new Set(); // names of classes

let current = null; // the item on display
let picture = null;
let point = null; // the pixel that is asked about
let showing = null; // the task of `show` or `showExample`: a later choice cancels it
let waiting = false; // for a server that is gone

/** Show an image, predicted by the chosen models. */
async function show(item) {
  const task = startShowing(`Labelling ${item.name}`);
  begin(item);
  try {
    await models.refresh(task);
    checkCurrent(task);
    arrange();
    const chosen = models.chosen();
    // other bands are shown as the server stretches them
    if (chosen.every(readsPictures)) await showPicture(task, () => openPicture(item.blob).catch(() => null));
    task.parts = chosen.length;
    const answers = await Promise.all(chosen.map((model, part) => labelsOf(item, model, task, part).catch(orRefused)));
    const found = answers.filter((one) => !(one instanceof Refused));
    if (!found.length) throw answers[0];
    await fitPicture(item, found[0], task);
    checkCurrent(task);
    answers.forEach(fillPane);
    strip.setFailed(item, false);
    task.end();
    describe(item, found);
    redraw();
    for (const pane of panes.filter((one) => one.result)) {
      await addProbabilities(item, pane, task);
    }
  } catch (error) {
    if (!isStale(task)) await tell(error, item);
  } finally {
    endShowing(task);
  }
}

function startShowing(text) {
  showing?.cancel();
  showing = work.start(text);
  return showing;
}

function endShowing(task) {
  task.end();
  if (task.signal.aborted && showing === task) say("Cancelled.");
}

/** Where one of two models refuses an image, the other one is still shown. */
function orRefused(error) {
  if (error instanceof Refused) return error;
  throw error;
}

function fillPane(answer, index) {
  if (answer instanceof Refused) panes[index].setNote(answer.message);
  else panes[index].setResult(answer, hidden);
}

function isStale(task) {
  return task.signal.aborted || showing !== task;
}

function checkCurrent(task) {
  if (isStale(task)) throw new DOMException("aborted", "AbortError");
}

/** Clear the stage for an image. */
function begin(item) {
  if (current !== item) {
    picture?.close();
    picture = null;
  }
  current = item;
  point = null;
  strip.setCurrent(item);
  document.title = `${item.name} - seglight`;
  say(`Labelling ${item.name}`);
  for (const id of ["start", "mistake", "agreement"]) $(id).hidden = true;
  for (const id of ["panes", "below"]) $(id).hidden = false;
  $("caption").textContent = item.name;
  arrange();
}

/** Give each of the chosen models an empty pane. */
function arrange() {
  const chosen = models.chosen();
  const shown = panes.slice(0, Math.max(1, chosen.length));
  $("panes").replaceChildren(...shown.map((pane) => pane.element));
  $("panes").classList.toggle("two", shown.length > 1);
  panes.forEach((pane, index) => {
    pane.setModel(chosen[index]?.name ?? "");
    pane.setResult(null, hidden);
    pane.picture = picture;
    pane.read(null, false);
  });
  if (chosen.length) strip.setExamples(chosen[0]);
  measure();
}

/** Display a decoded image, unless another one has been chosen meanwhile. */
async function showPicture(task, open) {
  if (picture) return;
  const opened = await open();
  if (isStale(task)) {
    opened?.close();
    checkCurrent(task);
  }
  if (!opened) return;
  picture = opened;
  panes.forEach((pane) => {
    pane.picture = picture;
  });
  strip.setThumbnail(current, picture);
  view.show(picture.width, picture.height);
  measure();
}

/** Take the server's picture where the browser has none, or turns the image differently. */
async function fitPicture(item, result, task) {
  if (!picture || picture.width !== result.width || picture.height !== result.height) {
    checkCurrent(task);
    picture?.close();
    picture = null;
    await showPicture(task, () => serversPicture(item, result, task));
  }
  if (view.image.width !== result.width || view.image.height !== result.height) {
    view.show(result.width, result.height);
  }
}

async function serversPicture(item, result, task) {
  try {
    return await openPicture(await fetchPicture(item.blob, result.model.name, task));
  } catch (error) {
    if (error instanceof Lost || error.name === "AbortError") throw error;
    return null; // the label map is shown alone
  }
}

/** Ask for the probabilities of the labels on display, and say why there are none. */
async function addProbabilities(item, pane, task) {
  const { result } = pane;
  const { values, note } = await confidenceOf(item, result, task);
  checkCurrent(task);
  result.confidence = values ?? null;
  result.note = note ?? "";
  pane.setNote(result.note);
  if (point) pane.read(point);
}

/** Fill in what the results say: classes, shares, sizes. */
function describe(item, found) {
  const [{ width, height }] = found;
  $("caption").textContent = `${item.name}, ${width} x ${height} pixels`;
  showTables(found);
  const same = found.length > 1 ? agreement(...found) : null;
  $("agreement").hidden = same === null;
  if (same !== null) $("agreement").textContent = `Both models give the same class to ${percent(same)} of the pixels.`;
  say(`${item.name} is labelled. ${found.map((result) => result.summary()).join(". ")}.`);
}

function showTables(results) {
  fillTables($("tables"), results, hidden, (name, shown) => {
    if (shown) hidden.delete(name);
    else hidden.add(name);
    recolor();
  });
}

const displayed = () => panes.map((pane) => pane.result).filter(Boolean);

function recolor() {
  panes.filter((pane) => pane.result).forEach((pane) => pane.setResult(pane.result, hidden));
  redraw();
}

function setAll(shown) {
  hidden.clear();
  if (!shown) models.list.forEach((model) => model.classes.forEach(({ name }) => hidden.add(name)));
  showTables(displayed());
  recolor();
}

/** Tell the class at a point of the image, in all panes; null: none. */
function ask(where, byKey) {
  point = null;
  if (where) {
    const { width, height } = view.image;
    const inside = (value, side) => Math.min(Math.max(Math.floor(value), 0), side - 1);
    const isOutside = where.x < 0 || where.y < 0 || where.x >= width || where.y >= height;
    if (byKey || !isOutside) point = { x: inside(where.x, width), y: inside(where.y, height) };
  }
  if (point && byKey) view.reveal(point.x + 0.5, point.y + 0.5);
  panes.forEach((pane) => pane.read(point, byKey));
  if (byKey) redraw();
}

/** Say a mistake in a line, or wait for a server that is gone. */
async function tell(error, item) {
  if (error instanceof Lost && !(await isAlive())) {
    await waitForServer();
    return;
  }
  let reason = error.message;
  if (error instanceof Lost) reason = "the connection broke: the image may be larger than the server accepts";
  if (item) {
    strip.setFailed(item, true);
    showTables([]);
  }
  $("mistake").textContent = item ? `${item.name}: ${reason}` : reason;
  $("mistake").hidden = false;
  say("");
}

async function waitForServer() {
  if (waiting) return;
  waiting = true;
  $("lost").textContent = "The server does not answer. This page tries again every few seconds.";
  $("lost").hidden = false;
  while (!(await isAlive())) await pause(RETRY);
  $("lost").hidden = true;
  waiting = false;
  say("The server answers again.");
  await (current ? show(current) : start());
}

/** Save what a pane shows as a file. */
async function download(kind, pane) {
  const { result } = pane;
  const model = models.list.length > 1 ? `_${result.model.name}` : "";
  if (kind === "png") {
    save(result.png, current.fileName(`${model}.png`));
    return;
  }
  const task = work.start(kind === "coco" ? "Finding the objects" : "Drawing the overlay");
  try {
    const item = current;
    if (kind === "coco") {
      save(await fetchObjects(item, result.model, task), item.fileName(`${model}_coco.json`));
    } else if (picture) {
      save(await result.overlay(picture, hidden, opacity()), item.fileName(`${model}_overlay.png`));
    } else {
      throw new Error("This browser can't decode the image: use POST /predict?format=overlay.");
    }
  } catch (error) {
    if (!task.signal.aborted) await tell(error, null);
  } finally {
    task.end();
  }
}

function say(text) {
  $("status").textContent = text;
}

/** Add images, and show the first of them. */
function addImages(found) {
  const items = found.map(([blob, name]) => new Item(blob, name));
  items.forEach((item) => strip.add(item));
  if (items.length) show(items[0]);
}

/** Show an example of the size that the chosen model takes now. */
async function showExample(number) {
  const task = startShowing(`Loading example ${number}`);
  try {
    await models.refresh(task);
    const item = await strip.example(number, models.chosen()[0], task.signal);
    checkCurrent(task);
    task.end();
    await show(item);
  } catch (error) {
    if (!isStale(task)) await tell(error, null);
  } finally {
    endShowing(task);
  }
}

const opacity = () => Number($("opacity").value) / 100;

function setOpacity() {
  $("percent").textContent = `${$("opacity").value} %`;
  panes.forEach((pane) => {
    pane.labelsCanvas.style.opacity = opacity();
  });
}

function redraw() {
  cancelAnimationFrame(redraw.frame);
  redraw.frame = requestAnimationFrame(() => panes.forEach((pane) => pane.element.isConnected && pane.draw(point)));
}

function measure() {
  const { clientWidth, clientHeight } = panes[0].frame;
  if (clientWidth && clientHeight) view.resize(clientWidth, clientHeight);
  redraw();
}

function onZoom(id, change) {
  $(id).addEventListener("click", () => {
    change();
    redraw();
  });
}

async function start() {
  try {
    await models.refresh({ busy: () => ($("about").textContent = "The server is loading its models.") });
    strip.setExamples(models.chosen()[0]);
  } catch (error) {
    await tell(error, null);
  }
}

onZoom("closer", () => view.zoom(1.5));
onZoom("farther", () => view.zoom(1 / 1.5));
onZoom("fit", () => view.fit());
onZoom("actual", () => view.actual());
$("all").addEventListener("click", () => setAll(true));
$("none").addEventListener("click", () => setAll(false));
$("opacity").addEventListener("input", setOpacity);
new ResizeObserver(measure).observe(panes[0].frame);
watchSources(addImages, (text) => tell(new Error(text), null));
setOpacity();
start();
