"""whisper.cpp through pywhispercpp, one recording after the other.

Nightscribe decodes the audio, as for openai-whisper. The weights are float16, or in Q8_0; features
are float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pywhispercpp.model import Model

from benchmarks.engines import Run, Setup, Text
from nightscribe.audio.decode import decode


def load(setup: Setup) -> Run:
    """Load whisper.cpp on the CPU, at temperature 0 without fallback.

    Raises:
        ValueError: the device is no CPU; the package's wheel computes on nothing else.
    """
    if setup.device != "cpu":
        raise ValueError("whisper.cpp's wheel computes on a CPU only")
    # `no_context` is about earlier recordings; within one, this is the longest prompt.
    prompt = {} if setup.conditioned else {"n_max_text_ctx": 0}
    model = Model(
        setup.model,
        n_threads=setup.threads,
        language="auto",
        greedy={"best_of": 1},
        temperature=0.0,
        temperature_inc=0.0,
        no_context=True,
        suppress_nst=True,
        print_progress=False,
        print_realtime=False,
        redirect_whispercpp_logs_to=None,
        **prompt,
    )

    def run(paths: Sequence[str]) -> Iterator[Text]:
        for path in paths:
            segments = model.transcribe(decode(path).samples)
            yield Text(path, "".join(f" {segment.text}" for segment in segments))

    return run
