"""Load a model and name an engine: the only place that knows every engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from nightscribe.whisper.checkpoints import resolve
from nightscribe.whisper.contract import Engine, LoadedModel
from nightscribe.whisper.devices import pick_device, pick_precision
from nightscribe.whisper.weights import load_weights


def load_model(
    name: str, device: str = "auto", model_dir: str | None = None, precision: str = "auto"
) -> LoadedModel:
    """Load a model by official name, path or `demo` onto a device.

    Raises `ModelError` if there is no such checkpoint, `ConfigurationError` for a device
    that this machine lacks, or a precision that the device lacks.
    """
    chosen = pick_device(device)
    computed = pick_precision(precision, chosen)
    checkpoint = resolve(name, model_dir)
    return LoadedModel(checkpoint, load_weights(checkpoint, chosen), chosen, computed)


def model_loader(settings: Settings) -> Callable[[str], LoadedModel]:
    """A function that loads a model once, at its first use, and keeps it for the process."""

    @functools.cache
    def load(name: str) -> LoadedModel:
        if settings.threads:
            import torch

            torch.set_num_threads(settings.threads)
        return load_model(name, settings.device, settings.model_dir, settings.precision)

    return load


def engine_named(name: str, *, slots: int = 0) -> Engine:
    """The engine of that name: a function from requests and a model to results.

    `slots`: windows that the batched engine decodes side by side; 0 for what memory allows.
    """
    from nightscribe.whisper.batched.scheduler import transcribe_batched
    from nightscribe.whisper.reference import transcribe_one_by_one

    engines: Mapping[str, Engine] = {
        "batched": functools.partial(transcribe_batched, slots=slots),
        "reference": transcribe_one_by_one,
    }
    if name not in engines:
        raise ConfigurationError(f"engine {name!r}: choose one of {', '.join(engines)}")
    return engines[name]


def versions() -> dict[str, str]:
    """Versions of what a transcript depends on."""
    from importlib.metadata import version

    import nightscribe

    return {
        "nightscribe": nightscribe.__version__,
        **{name: version(name) for name in ("openai-whisper", "torch", "av")},
    }
