// Plays, and says why where nothing can be played.
export const play = (audio) =>
  audio.play().catch((reason) => {
    // A pause before the first sound is no failure; that a file cannot be played, the event says.
    if (!["AbortError", "NotAllowedError", "NotSupportedError"].includes(reason.name)) throw reason;
  });

export const toggle = (audio) => (audio.paused ? play(audio) : audio.pause());

export const explain = (audio) => {
  const tell = async () => {
    const line = document.getElementById("silent");
    let reason = "This browser cannot play the recording.";
    try {
      const answer = await fetch(audio.currentSrc, { headers: { range: "bytes=0-0" } });
      if (!answer.ok) reason = (await answer.text()).trim();
    } catch {
      reason = "The recording cannot be loaded: the server does not answer. Load the page again.";
    }
    line.textContent = reason;
    line.hidden = false;
  };
  audio.addEventListener("error", tell);
  if (audio.error) tell();
};
