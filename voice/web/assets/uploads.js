// Browsers call every .webm and .mp4 a video, and Gradio's audio upload then refuses it. A recording is one all the same:
// here it gets the type of the sound in it, before Gradio looks.
const RECORDER = "#recorder";

/** @param {FileList} files */
function retype(files) {
  const sounds = new DataTransfer();
  for (const file of files) {
    const type = file.type.replace(/^video\//, "audio/");
    sounds.items.add(new File([file], file.name, { type, lastModified: file.lastModified }));
  }
  return sounds.files;
}

/** @param {FileList} files */
function holdsVideo(files) {
  return [...files].some((file) => file.type.startsWith("video/"));
}

document.addEventListener("change", (event) => {
  const input = event.target;
  if (input instanceof HTMLInputElement && input.type === "file" && input.closest(RECORDER) && holdsVideo(input.files)) {
    input.files = retype(input.files);
  }
}, true);

document.addEventListener("drop", (event) => {
  const input = event.target.closest?.(RECORDER)?.querySelector("input[type=file]");
  if (!input || !holdsVideo(event.dataTransfer.files)) return;
  event.preventDefault();
  event.stopPropagation();
  input.files = retype(event.dataTransfer.files);
  input.dispatchEvent(new Event("change", { bubbles: true }));
}, true);
