// Asks for the state of a run until it is done, then opens the recording.
const state = document.getElementById("state");
const words = { ingest: "reading", transcribe: "transcribing", publish: "writing" };
const started = Date.now();
const look = async () => {
  try {
    const response = await fetch(state.dataset.address);
    if ([401, 403, 404].includes(response.status)) {
      state.textContent = await response.text();
      return;
    }
    const answer = await response.json();
    if (answer.address) return location.replace(answer.address);
    if (answer.state === "success") {
      state.textContent = "Done.";
      return;
    }
    if (answer.state === "failed") {
      state.textContent = `This file was not transcribed. ${answer.detail}`;
      return;
    }
    if (answer.state === "queued" && answer.detail) {
      state.textContent = answer.detail;
      setTimeout(look, 3000);
      return;
    }
    const seconds = Math.round((Date.now() - started) / 1000);
    const expected = answer.expected_s ? `, about ${Math.ceil(answer.expected_s)} s of work` : "";
    state.textContent = `${words[answer.step] ?? "waiting for a worker"} … ${seconds} s${expected}`;
  } catch {
    state.textContent = "Airflow does not answer; trying again …";
  }
  setTimeout(look, 1500);
};
setTimeout(look, 500);
