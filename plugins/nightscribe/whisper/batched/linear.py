"""Linear layers whose weights are brought once into the order in which they are read fastest."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

_ROWS = 16  # that oneDNN lays a weight out for; for other counts it is as fast


class Linear:
    """`x` (…, inputs) → (…, outputs), with a weight (outputs, inputs) and perhaps a bias.

    In float32 and bfloat16 on a CPU the weight is packed for oneDNN: in float32 1.3 to 2.5 times
    as fast as PyTorch's own path through MKL (AMD EPYC, AVX-512), and most so for a few rows with a
    large vocabulary. The packed weight is a copy, beside that of the loaded checkpoint.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._bias = bias
        self.packed = _packs(weight)
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS) if self.packed else weight
        )

    def __call__(self, x: Tensor) -> Tensor:
        if not self.packed:
            return F.linear(x, self._weight, self._bias)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, "none", [], ""
        )
        return found


def _packs(weight: Tensor) -> bool:
    """The operators are those that PyTorch's compiler emits for frozen weights on a CPU."""
    return (
        weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and (
            weight.dtype == torch.float32
            or (weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())
        )
    )
