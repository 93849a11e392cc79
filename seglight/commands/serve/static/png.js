// Reads PNGs of one channel: label maps with a palette, and grey of 8 or 16 bits. A canvas would do, but not exactly on
// every browser, not at every size, and with 8 bits only.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY = 0;
const PALETTE = 3;

/** Values of a PNG: `{ width, height, values }`, the values row by row as Uint8Array, or as Uint16Array of 16 bits. */
export async function decodePng(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!SIGNATURE.every((value, index) => bytes[index] === value)) {
    throw new Error("the server's answer is not a PNG");
  }
  const { width, height, size, parts } = chunks(bytes);
  const content = new Uint8Array(width * height * size);
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  await readRows(stream.getReader(), width * size, height, content, size);
  return { width, height, values: size === 1 ? content : words(content) };
}

function words(content) {
  const view = new DataView(content.buffer);
  const values = new Uint16Array(content.length / 2);
  for (let index = 0; index < values.length; index++) {
    values[index] = view.getUint16(2 * index); // a PNG has the upper byte first
  }
  return values;
}

function chunks(bytes) {
  const view = new DataView(bytes.buffer);
  const found = { width: 0, height: 0, size: 1, parts: [] };
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IHDR") {
      const [depth, color, , , interlaced] = bytes.subarray(at + 16, at + 21);
      const known = (depth === 8 && (color === GREY || color === PALETTE)) || (depth === 16 && color === GREY);
      if (!known || interlaced) {
        throw new Error("the server's PNG is not of one channel of 8 or 16 bits");
      }
      found.size = depth / 8;
      found.width = view.getUint32(at + 8);
      found.height = view.getUint32(at + 12);
    } else if (kind === "IDAT") {
      found.parts.push(bytes.subarray(at + 8, at + 8 + length));
    }
    at += 12 + length;
  }
  return found;
}

async function readRows(reader, width, height, values, size) {
  const line = new Uint8Array(width + 1); // the number of its filter, then the bytes of its pixels
  let filled = 0;
  let y = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (let at = 0; at < value.length && y < height; ) {
      const part = value.subarray(at, at + line.length - filled);
      line.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled === line.length) {
        readRow(line, values, y, width, size);
        filled = 0;
        y += 1;
      }
    }
  }
  if (y < height) {
    throw new Error("the server's PNG is cut off");
  }
}

function readRow(line, values, y, width, size) {
  const row = values.subarray(y * width, (y + 1) * width);
  if (line[0] === 0) {
    row.set(line.subarray(1));
    return;
  }
  const above = y ? values.subarray((y - 1) * width, y * width) : new Uint8Array(width);
  const predict = FILTERS[line[0]];
  for (let x = 0; x < width; x++) {
    const left = x < size ? 0 : row[x - size];
    row[x] = line[x + 1] + predict(left, above[x], x < size ? 0 : above[x - size]);
  }
}

// PNG specification, section 9.2; values are bytes, so that sums wrap
const FILTERS = {
  1: (left) => left,
  2: (left, up) => up,
  3: (left, up) => (left + up) >> 1,
  4: (left, up, corner) => {
    const guess = left + up - corner;
    const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
    return a <= b && a <= c ? left : b <= c ? up : corner;
  },
};
