// Takes the theme of Airflow's page around this one, else the reader's own.
(() => {
  const root = document.documentElement;
  const apply = () => {
    let dark = matchMedia("(prefers-color-scheme: dark)").matches;
    try {
      const outer = parent === self ? null : parent.document.documentElement;
      if (outer) dark = outer.classList.contains("dark") || outer.dataset.theme === "dark";
    } catch {
      // A page of another origin does not say.
    }
    root.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  try {
    if (parent !== self)
      new MutationObserver(apply).observe(parent.document.documentElement, {
        attributes: true,
      });
  } catch {
    // As above.
  }
  const showLocalTimes = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
      time.title = time.textContent;
      const local = new Date(time.dateTime);
      time.textContent = local.toLocaleString([], {
        dateStyle: "medium",
        timeStyle: "short",
      });
    }
  };
  addEventListener("DOMContentLoaded", showLocalTimes);
  addEventListener("refreshed", showLocalTimes);
  // The frame's sandbox lets nothing in it move the page around it, so a link there does it.
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[target=_top]");
    if (!link || parent === self) return;
    event.preventDefault();
    const outer = parent.document.createElement("a");
    outer.href = link.href;
    parent.document.body.append(outer);
    outer.click();
    outer.remove();
  });
})();
