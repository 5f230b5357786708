// Shows how far a run is, without a reload, until it is done.
const EVERY_MS = 20_000;
const look = async () => {
  try {
    const response = await fetch(location.href);
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const [old, now] = [document, page].map((one) => one.getElementById("progress"));
      if (now) old.replaceWith(now);
      dispatchEvent(new Event("refreshed")); // for theme.js
      if (!page.querySelector('script[src$="/refresh.js"]')) return;
    }
  } catch {
    // Airflow does not answer; the next look may find it.
  }
  setTimeout(look, EVERY_MS);
};
setTimeout(look, EVERY_MS);
