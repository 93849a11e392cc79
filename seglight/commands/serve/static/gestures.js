// Mouse, touch and keyboard on a frame: zoom, pan, and the point that is asked about.

const TAP = 6; // CSS pixels that a finger may move
const STRIDE = 10; // CSS pixels that an arrow key moves the cross

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Attach them to a frame.
 *
 * `changed()` is called when the view has changed, and `asked(point, byKey)` with a point of the image, or null.
 * `cross()` returns the point where the cross is, or null.
 */
export function attach(frame, view, { changed, asked, cross }) {
  const pointers = new Map();
  let travelled = 0;

  const place = (event) => {
    const box = frame.getBoundingClientRect();
    return { left: event.clientX - box.left - frame.clientLeft, top: event.clientY - box.top - frame.clientTop };
  };
  const ask = (event) => {
    const { left, top } = place(event);
    asked(view.at(left, top), false);
  };

  frame.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { left, top } = place(event);
      view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), left, top);
      changed();
    },
    { passive: false },
  );

  frame.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    frame.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) travelled = 0;
  });

  frame.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) {
      ask(event);
      return;
    }
    const now = place(event);
    travelled += Math.hypot(now.left - before.left, now.top - before.top);
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, where]) => where);
    if (other) {
      pinch(before, now, other);
    } else {
      view.move(now.left - before.left, now.top - before.top);
    }
    pointers.set(event.pointerId, now);
    changed();
  });

  function pinch(before, now, other) {
    const apart = (where) => Math.max(1, Math.hypot(where.left - other.left, where.top - other.top));
    view.zoom(apart(now) / apart(before), (before.left + other.left) / 2, (before.top + other.top) / 2);
    view.move((now.left - before.left) / 2, (now.top - before.top) / 2);
  }

  for (const kind of ["pointerup", "pointercancel"]) {
    frame.addEventListener(kind, (event) => {
      if (pointers.delete(event.pointerId) && kind === "pointerup" && travelled <= TAP) ask(event);
    });
  }

  frame.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !pointers.size) asked(null, false);
  });

  frame.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (press(event)) event.preventDefault();
  });

  function press(event) {
    const point = cross() ?? { x: view.x, y: view.y };
    const { left, top } = view.place(point.x, point.y);
    if (ARROWS[event.key]) {
      const stride = event.shiftKey ? 1 : Math.max(1, Math.round(STRIDE / view.scale));
      const [x, y] = ARROWS[event.key];
      asked({ x: point.x + x * stride, y: point.y + y * stride }, true);
      return true;
    }
    const actions = {
      "+": () => view.zoom(1.5, left, top),
      "=": () => view.zoom(1.5, left, top),
      "-": () => view.zoom(1 / 1.5, left, top),
      0: () => view.fit(),
      1: () => view.actual(left, top),
      Escape: () => asked(null, true),
    };
    actions[event.key]?.();
    changed();
    return event.key in actions;
  }
}
