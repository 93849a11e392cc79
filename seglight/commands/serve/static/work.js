// What is under way: a line, a progress bar, and a button that cancels it.

/** A task, whose `signal` is aborted when it is cancelled; its `parts` requests report their progress, 0 to 1. */
class Task {
  constructor(text, changed, ended) {
    const controller = new AbortController();
    this.text = text;
    this.line = text;
    this.parts = 1;
    this.done = [];
    this.value = null;
    this.signal = controller.signal;
    this.cancel = () => controller.abort();
    this.end = () => ended(this);
    this.changed = changed;
    this.busy = (seconds) => {
      this.line = `The server is busy: trying again in ${Math.max(1, Math.round(seconds))} s`;
      this.changed();
    };
  }

  progress(part, value) {
    this.done[part] = value;
    this.value = this.done.reduce((sum, one) => sum + one, 0) / this.parts;
    this.line = this.text;
    this.changed();
  }
}

/** The bar at the foot of the stage; it shows the latest of the tasks. */
export class Work {
  constructor() {
    this.box = document.getElementById("work");
    this.line = document.getElementById("doing");
    this.bar = document.getElementById("progress");
    this.tasks = [];
    document.getElementById("cancel").addEventListener("click", () => this.tasks.forEach((task) => task.cancel()));
  }

  /** Begin a task. */
  start(text) {
    const ended = (task) => {
      this.tasks = this.tasks.filter((one) => one !== task);
      this.#show();
    };
    this.tasks.push(new Task(text, () => this.#show(), ended));
    this.#show();
    return this.tasks.at(-1);
  }

  #show() {
    const task = this.tasks.at(-1);
    this.box.hidden = !task;
    if (!task) return;
    this.line.textContent = task.line;
    if (task.value === null) this.bar.removeAttribute("value");
    else this.bar.value = task.value;
  }
}
