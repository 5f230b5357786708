// Sends files one after the other as they are, with progress and a way to cancel.
const form = document.getElementById("upload");
const queue = document.getElementById("queue");
const input = form.elements.files;
const waiting = [];
let sending = false;

const line = (file) => {
  const item = document.createElement("li");
  const name = document.createElement("bdi");
  const state = document.createElement("span");
  const bar = document.createElement("progress");
  const cancel = document.createElement("button");
  name.className = "name";
  name.textContent = file.name;
  state.className = "facts";
  state.textContent = "waiting";
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Sent of ${file.name}`);
  cancel.type = "button";
  cancel.textContent = "Cancel";
  cancel.setAttribute("aria-label", `Cancel ${file.name}`);
  item.append(name, " ", bar, " ", state, " ", cancel);
  queue.append(item);
  return { item, state, bar, cancel };
};

const send = (file, parts) =>
  new Promise((done) => {
    const values = new URLSearchParams();
    for (const name of ["language", "task", "model", "options"])
      if (form.elements[name].value) values.set(name, form.elements[name].value);
    const request = new XMLHttpRequest();
    const address = `${form.dataset.root}/uploads/${encodeURIComponent(file.name)}?${values}`;
    request.open("PUT", address);
    request.upload.onprogress = (event) => {
      parts.bar.value = event.loaded / event.total;
      const sent = event.loaded === event.total;
      parts.state.textContent = sent ? "being examined" : "being sent";
    };
    const end = (text, link) => {
      parts.bar.remove();
      parts.cancel.remove();
      if (link) {
        const anchor = document.createElement("a");
        anchor.href = link;
        anchor.textContent = text;
        parts.state.replaceChildren(anchor);
      } else parts.state.textContent = text;
      done(link);
    };
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { detail: request.responseText };
      }
      if (request.status === 201) end("Received: follow it", answer.address);
      else end(answer.detail || `refused (${request.status})`);
    };
    request.onerror = () => end("The connection was lost; send it again.");
    request.onabort = () => end("cancelled");
    parts.cancel.onclick = () => request.abort();
    request.send(file);
  });

const work = async () => {
  if (sending) return;
  sending = true;
  const links = [];
  let count = 0;
  while (waiting.length) {
    const [file, parts] = waiting.shift();
    if (!parts.item.isConnected) continue;
    count += 1;
    const link = await send(file, parts);
    if (link) links.push(link);
  }
  sending = false;
  if (count === 1 && links.length === 1) location.assign(links[0]);
};
const add = (files) => {
  for (const file of files) {
    const parts = line(file);
    if (file.size > Number(form.dataset.max)) {
      parts.bar.remove();
      parts.cancel.remove();
      parts.state.textContent = "too large";
      continue;
    }
    parts.cancel.onclick = () => {
      parts.state.textContent = "cancelled";
      parts.item.remove();
    };
    waiting.push([file, parts]);
  }
  work();
};
form.addEventListener("submit", (event) => {
  event.preventDefault();
  add(input.files);
  input.value = "";
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  add(event.dataTransfer.files);
});
