// Keys for reviewers: everything can be done with the hands on the text.
import { toggle } from "./playing.js";

const form = document.getElementById("review");
const audio = document.querySelector("audio");
const texts = [...form.querySelectorAll("textarea")];
const item = (text) => text.closest("li");
const start = (text) => Number(item(text).dataset.start);

for (const text of texts) {
  const before = text.value;
  text.addEventListener("input", () => item(text).classList.toggle("changed", text.value !== before));
  text.addEventListener("focus", () => {
    // What plays already is not interrupted within its segment.
    const { currentTime, paused } = audio;
    const inside = start(text) <= currentTime && currentTime < Number(item(text).dataset.end);
    if (paused || !inside) audio.currentTime = start(text);
  });
}
addEventListener("beforeunload", (event) => {
  if (form.querySelector(".changed") && !form.dataset.sent) event.preventDefault();
});
form.addEventListener("submit", () => (form.dataset.sent = "1"));

const go = (by, wanted = () => true) => {
  const from = texts.indexOf(document.activeElement);
  for (let at = from + by; at >= 0 && at < texts.length; at += by)
    if (wanted(texts[at])) return texts[at].focus();
};
const keys = {
  " ": () => toggle(audio),
  ArrowLeft: () => (audio.currentTime = Math.max(0, audio.currentTime - 3)),
  ArrowRight: () => (audio.currentTime += 3),
  ArrowDown: () => go(1),
  ArrowUp: () => go(-1),
  ".": () => go(1, (text) => item(text).classList.contains("unsure")),
  Enter: () => form.requestSubmit(form.querySelector("[value=accept]")),
};
// A key that is held, and the second click of a double click, may meet the next transcript already.
const once = [" ", "Enter"];
addEventListener("keydown", (event) => {
  const action = event.ctrlKey && !event.altKey && !event.metaKey && keys[event.key];
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || !once.includes(event.key)) action();
});
form.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.matches("button")) event.preventDefault();
});
