// Where images come from: dropped, pasted, chosen, taken with the camera.

/** Call `add(images)` with pairs of a Blob and its name, `failed(text)` where the camera can't be used. */
export function watchSources(add, failed) {
  const files = document.getElementById("files");
  const capture = document.getElementById("capture");
  const addAll = (list) => add([...list].map((file) => [file, file.name || "image"]));

  document.getElementById("choose").addEventListener("click", () => files.click());
  for (const input of [files, capture]) {
    input.addEventListener("change", () => {
      addAll(input.files);
      input.value = ""; // the same file again is a change, too
    });
  }

  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    addAll(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => addAll(event.clipboardData.files));

  document.getElementById("camera").addEventListener("click", () => {
    // browsers give it to pages from this machine and over https only; a phone's own camera needs neither
    if (navigator.mediaDevices) openCamera(add, failed);
    else capture.click();
  });
}

async function openCamera(add, failed) {
  const dialog = document.getElementById("viewfinder");
  const video = document.getElementById("video");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
  } catch (error) {
    failed(error.name === "NotFoundError" ? "There is no camera." : "This browser does not give access to the camera.");
    return;
  }
  video.srcObject = stream;
  dialog.addEventListener(
    "close",
    () => {
      stream.getTracks().forEach((track) => track.stop());
      video.srcObject = null;
    },
    { once: true },
  );
  document.getElementById("leave").onclick = () => dialog.close();
  document.getElementById("shoot").onclick = async () => {
    if (!video.videoWidth) return; // no picture has come yet
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    add([[await canvas.convertToBlob({ type: "image/png" }), "camera.png"]]);
  };
  dialog.showModal();
}
