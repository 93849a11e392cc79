// The server's REST interface, as programs use it.

const ATTEMPTS = 20;
const LONGEST_WAIT = 30;

/** An answer with an error: its status, and its reason as one line. */
export class Refused extends Error {
  constructor(status, reason, retryAfter = null) {
    super(reason);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No answer, or one that ends too early. */
export class Lost extends Error {}

/** The models that are served, the default first. While the server loads them, `busy` is called, and it is asked again. */
export async function listModels({ signal, busy }) {
  const answer = await patiently(() => send("models", { signal, cache: "no-store" }), signal, busy, Infinity);
  return (await body(answer.json())).models;
}

/** Whether the server answers at all. */
export async function isAlive() {
  try {
    return (await fetch(addressOf("health/live"), { cache: "no-store", signal: AbortSignal.timeout(5000) })).ok;
  } catch {
    return false;
  }
}

/**
 * Predict an image by a model of `listModels`; another version of it is an error.
 *
 * `format` is one of POST /predict. `progress` is called with numbers from 0 to 1 where the image is predicted by
 * windows, and `busy` with a number of seconds where the server asks to wait. Returns a Blob.
 */
export async function predict(blob, model, format, { signal, progress, busy }) {
  const path = `predict?${new URLSearchParams({ model: model.name, format })}`;
  const headers = { "Content-Type": "application/octet-stream", Accept: "application/x-ndjson" };
  const answer = await patiently(() => send(path, { method: "POST", body: blob, headers, signal }), signal, busy);
  const message = await lastLine(answer, progress);
  if (message.version !== model.version) {
    throw new Refused(409, "the model has been replaced meanwhile: choose the image again");
  }
  return new Blob([fromBase64(message.result)], { type: message.media_type });
}

/** The image as the server decodes it, a JPEG, for formats that this browser does not show. */
export async function fetchPicture(blob, model, { signal, busy }) {
  const path = `page/picture?${new URLSearchParams({ model })}`;
  const headers = { "Content-Type": "application/octet-stream" };
  const answer = await patiently(() => send(path, { method: "POST", body: blob, headers, signal }), signal, busy);
  return await body(answer.blob());
}

/** An example as a Blob. */
export async function fetchExample(address, signal) {
  return await body((await send(address, { signal })).blob());
}

/** Address without the name and password that the address of the page may have, with which `fetch` fails. */
function addressOf(path) {
  return new URL(path, location.origin + location.pathname);
}

async function send(path, options) {
  const answer = await body(fetch(addressOf(path), options));
  if (!answer.ok) {
    throw await refusal(answer);
  }
  return answer;
}

/** Await what fails if the connection does. */
async function body(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Lost(error.message);
  }
}

async function refusal(answer) {
  let reason = `the server answered ${answer.status}`;
  try {
    reason = (await answer.json()).error ?? reason;
  } catch {
    // not from this server, but from a proxy before it
  }
  const seconds = Number.parseFloat(answer.headers.get("Retry-After"));
  return new Refused(answer.status, reason, Number.isFinite(seconds) ? seconds : null);
}

async function patiently(attempt, signal, busy, attempts = ATTEMPTS) {
  for (let left = attempts; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Refused) || error.retryAfter === null || left <= 1) throw error;
      const seconds = Math.min(Math.max(error.retryAfter, 0.2), LONGEST_WAIT);
      busy?.(seconds);
      await pause(seconds * 1000, signal);
    }
  }
}

/** Wait, unless the signal ends it by an AbortError. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}

/** Read lines of JSON, progress and last the result or an error; the line with the result. */
async function lastLine(answer, progress) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let unfinished = [];
  for (;;) {
    const { done, value } = await body(reader.read());
    const lines = done ? [""] : value.split("\n");
    if (lines.length > 1 || done) {
      lines[0] = unfinished.join("") + lines[0];
      unfinished = [];
    }
    const rest = done ? "" : lines.pop();
    for (const line of lines.filter(Boolean)) {
      const message = JSON.parse(line);
      if (message.error !== undefined) throw new Refused(message.status ?? 422, message.error);
      if (message.result !== undefined) return message;
      progress?.(message.progress);
    }
    if (done) throw new Lost("the answer ended too early");
    unfinished.push(rest);
  }
}

function fromBase64(text) {
  const decoded = atob(text);
  const bytes = new Uint8Array(decoded.length);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = decoded.charCodeAt(index);
  }
  return bytes;
}
