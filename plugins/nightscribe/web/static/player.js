// Marks what is being spoken, seeks where one clicks, and has keys.
const audio = document.querySelector("audio");
const lists = [...document.querySelectorAll(".segments")].map((list) =>
  [...list.querySelectorAll("li")].map((item) => ({
    item,
    start: Number(item.dataset.start),
    end: Number(item.dataset.end),
    words: [...item.querySelectorAll(".w")],
  })),
);
const main = lists[0] ?? [];
let scrolled = 0;

// The last segment that has begun, by bisection: a day has some ten thousand.
const at = (segments, time) => {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

const waveform = document.getElementById("waveform");
const cursor = document.getElementById("now");
const marked = new Map();
const show = () => {
  const time = audio.currentTime;
  if (cursor && audio.duration) cursor.style.left = `${(100 * time) / audio.duration}%`;
  for (const segments of lists) {
    const index = at(segments, time + 0.01);
    const now = index >= 0 && time < segments[index].end + 0.5 ? segments[index] : null;
    const before = marked.get(segments);
    if (before !== now) {
      before?.item.removeAttribute("aria-current");
      for (const word of before?.words ?? []) word.classList.remove("now");
      now?.item.setAttribute("aria-current", "true");
      marked.set(segments, now);
      if (now && !audio.paused && segments === main && Date.now() - scrolled > 4000)
        now.item.scrollIntoView({ block: "center" });
    }
    for (const word of now?.words ?? [])
      word.classList.toggle("now", word.dataset.start <= time && time < word.dataset.end);
  }
};
addEventListener("wheel", () => (scrolled = Date.now()), { passive: true });
addEventListener("touchmove", () => (scrolled = Date.now()), { passive: true });
audio.addEventListener("timeupdate", show);
audio.addEventListener("seeked", show);
(function frame() {
  if (!audio.paused) show();
  requestAnimationFrame(frame);
})();

const seek = (time, play) => {
  audio.currentTime = Math.max(0, time);
  if (play) audio.play();
};
document.addEventListener("click", (event) => {
  if (event.target.closest("textarea")) return;
  const word = event.target.closest(".w");
  const item = event.target.closest(".segments li");
  if (!item || getSelection().toString()) return;
  event.preventDefault();
  const start = Number((word ?? item).dataset.start);
  history.replaceState(null, "", `#t=${start}`);
  seek(start, true);
});
waveform?.addEventListener("click", (event) => {
  const box = waveform.getBoundingClientRect();
  if (audio.duration) seek((audio.duration * (event.clientX - box.left)) / box.width, !audio.paused);
});
const step = (by) => {
  const index = at(main, audio.currentTime + 0.01) + by;
  if (main[index]) seek(main[index].start, false);
};
const keys = {
  k: () => (audio.paused ? audio.play() : audio.pause()),
  j: () => seek(audio.currentTime - 5, false),
  l: () => seek(audio.currentTime + 5, false),
  n: () => step(1),
  p: () => step(-1),
};
addEventListener("keydown", (event) => {
  const writes = event.target.closest("input, select, textarea");
  if (writes || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = keys[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});
const fromAddress = () => {
  const found = /^#t=([\d.]+)$/.exec(location.hash);
  if (!found) return;
  const time = Number(found[1]);
  const go = () => {
    seek(time, false);
    const index = at(main, time + 0.01);
    main[index]?.item.scrollIntoView({ block: "center" });
    show();
  };
  if (audio.readyState > 0) go();
  else audio.addEventListener("loadedmetadata", go, { once: true });
};
addEventListener("hashchange", fromAddress);
fromAddress();
