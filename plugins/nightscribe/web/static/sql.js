// The editor: Ctrl+Enter runs, Ctrl+Space completes names; queries that ran are kept in the browser.
const form = document.getElementById("sql");
const text = form.elements.q;
const list = document.getElementById("names");
document.getElementById("keys").hidden = false;

// Names of views and columns, those of views that the query names first.
const views = [...document.querySelectorAll("[data-view]")].map((view) => ({
  name: view.dataset.view,
  columns: [...view.querySelectorAll("li code")].map((code) => code.textContent),
}));
const words = () => {
  const used = new Set(text.value.toLowerCase().match(/\w+/g));
  const near = views.filter((view) => used.has(view.name));
  const names = (some) => some.flatMap((view) => view.columns);
  return [...new Set([...views.map((view) => view.name), ...names(near), ...names(views)])];
};

let found = [];
let chosen = -1;
const begun = () => text.value.slice(0, text.selectionStart).match(/\w*$/)[0];
const close = () => {
  list.hidden = true;
  chosen = -1;
  text.removeAttribute("aria-activedescendant");
};
const choose = (place) => {
  chosen = (place + found.length) % found.length;
  [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === chosen));
  text.setAttribute("aria-activedescendant", `name-${chosen}`);
};
const show = () => {
  const start = begun().toLowerCase();
  found = words()
    .filter((word) => word.startsWith(start) && word !== start)
    .slice(0, 10);
  list.replaceChildren(
    ...found.map((word, at) => {
      const item = document.createElement("li");
      item.id = `name-${at}`;
      item.role = "option";
      item.textContent = word;
      item.onmousedown = (event) => {
        event.preventDefault(); // the focus stays in the editor
        accept(at);
      };
      return item;
    }),
  );
  if (!found.length) return close();
  list.hidden = false;
  choose(0);
};
const accept = (at) => {
  const start = begun();
  const end = text.selectionStart;
  text.setRangeText(found[at], end - start.length, text.selectionEnd, "end");
  close();
};
const keys = {
  ArrowDown: () => choose(chosen + 1),
  ArrowUp: () => choose(chosen - 1),
  Enter: () => accept(chosen),
  Tab: () => accept(chosen),
  Escape: close,
};
text.setAttribute("aria-controls", "names");
text.setAttribute("aria-autocomplete", "list");
text.addEventListener("keydown", (event) => {
  const control = event.ctrlKey || event.metaKey;
  if (control && event.key === "Enter") form.requestSubmit();
  else if (event.ctrlKey && event.key === " ") show();
  else if (!list.hidden && !control && !event.shiftKey && keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});
// Once the list is open, it follows what is typed.
text.addEventListener("input", () => list.hidden || (begun() ? show() : close()));
text.addEventListener("blur", close);

// History.
const KEY = "nightscribe.sql";
const MOST = 30;
const past = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
  } catch {
    return []; // storage is off, or holds something else
  }
};
const keep = (queries) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(queries.slice(0, MOST)));
  } catch {
    // Storage is off or full: there is no history.
  }
};
const section = document.getElementById("history");
const draw = () => {
  const queries = past();
  section.hidden = !queries.length;
  section.querySelector("ul").replaceChildren(
    ...queries.map((one) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${form.action}?${new URLSearchParams({ q: one })}`;
      link.textContent = one.replace(/\s+/g, " ").slice(0, 80);
      link.title = one.slice(0, 1000);
      item.append(link);
      return item;
    }),
  );
};
const query = text.value.trim();
if ("ran" in form.dataset && query) keep([query, ...past().filter((one) => one !== query)]);
section.querySelector("button").onclick = () => {
  keep([]);
  draw();
};
draw();
if (!query) text.focus();

// A query takes up to half a minute: say that it runs.
form.addEventListener("submit", () => {
  const button = form.querySelector("button");
  button.textContent = "Running …";
});
addEventListener("pageshow", () => {
  form.querySelector("button").textContent = "Run";
});
