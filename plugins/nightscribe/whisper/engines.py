"""Models and engines by name: the only module that knows every engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from nightscribe.whisper.checkpoints import check_available, resolve
from nightscribe.whisper.contract import Engine, Failure, LoadedModel, Request, Transcript
from nightscribe.whisper.devices import pick_device, pick_precision
from nightscribe.whisper.weights import load_weights

__all__ = ["check_loadable", "engine_named", "load_model", "model_loader", "versions"]


def load_model(
    name: str, device: str = "auto", model_dir: str | None = None, precision: str = "auto"
) -> LoadedModel:
    """Load a model onto a device. `name` is an official name, a path or `demo`.

    Raises:
        ModelError: there is no such checkpoint.
        ConfigurationError: this machine lacks the device, or the device lacks the precision.
    """
    device = pick_device(device)
    precision = pick_precision(precision, device)
    checkpoint = resolve(name, model_dir)
    network = load_weights(checkpoint, device)
    return LoadedModel(checkpoint.name, checkpoint.model_id, network, device, precision)


def check_loadable(name: str, settings: Settings) -> None:
    """Check what `load_model` needs on this machine; nothing is loaded or downloaded.

    torch is imported only for a device or a precision that not every machine has.

    Raises:
        ModelError: there is no such checkpoint, and it cannot be downloaded.
        ConfigurationError: this machine lacks the device, or the device lacks the precision.
    """
    if settings.device not in ("auto", "cpu") or settings.precision not in ("auto", "float32"):
        pick_precision(settings.precision, pick_device(settings.device))
    check_available(name, settings.model_dir)


def model_loader(settings: Settings) -> Callable[[str], LoadedModel]:
    """A function that loads a model at its first use and keeps it for the process."""

    @functools.cache
    def load(name: str) -> LoadedModel:
        if settings.threads:
            import torch

            torch.set_num_threads(settings.threads)
        return load_model(name, settings.device, settings.model_dir, settings.precision)

    return load


def engine_named(name: str, *, slots: int = 0) -> Engine:
    """The engine of that name: a function from requests and a model to results.

    Its modules, and torch with them, are imported when it is called.

    `slots`: windows that the batched engine decodes side by side; 0: as many as fit into memory.
    Raises `ConfigurationError` if there is no such engine.
    """
    engines: Mapping[str, Engine] = {
        "batched": functools.partial(_batched, slots=slots),
        "reference": _reference,
    }
    if name not in engines:
        raise ConfigurationError(f"engine {name!r}: choose one of {', '.join(engines)}")
    return engines[name]


def versions() -> dict[str, str]:
    """Versions of the packages that a transcript depends on."""
    from importlib.metadata import version

    import nightscribe

    return {
        "nightscribe": nightscribe.__version__,
        **{name: version(name) for name in ("openai-whisper", "torch", "av")},
    }


def _batched(
    requests: Iterable[Request], model: LoadedModel, *, verbose: bool | None = None, slots: int
) -> Iterator[Transcript | Failure]:
    import torch

    from nightscribe.whisper.batched.model import prepared_network
    from nightscribe.whisper.batched.scheduler import transcribe_batched

    # A process has one engine, so nothing else needs the weights of its model.
    prepared_network(model.network, getattr(torch, model.precision), take=True)
    return transcribe_batched(requests, model, verbose=verbose, slots=slots)


def _reference(
    requests: Iterable[Request], model: LoadedModel, *, verbose: bool | None = None
) -> Iterator[Transcript | Failure]:
    from nightscribe.whisper.reference import transcribe_one_by_one

    if not any(weight.numel() for weight in model.network.parameters()):
        raise ConfigurationError(
            f"model {model.name}: the batched engine has taken its weights; load it once more for "
            "the reference engine"
        )
    return transcribe_one_by_one(requests, model, verbose=verbose)
