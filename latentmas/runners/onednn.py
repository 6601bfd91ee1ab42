"""Linear layers through oneDNN, which uses AVX-512 on every x86 processor; torch's default, MKL, does so only on Intel.

Twice as fast on AMD, in the same float32. Imported only where a model is loaded.
"""

import torch

ROWS = 256  # of inputs that a layer is prepared for; with fewer or more it is as fast
PIECE = 2048  # outputs of a head's piece, which with so many rows fit a core's cache
VOCABULARY = 16 * PIECE  # outputs from which on a layer is taken for a head


class OneDnnLinear(torch.nn.Module):
    """`torch.nn.Linear` for inference, its weight kept in oneDNN's own layout."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.bias = None if bias is None else bias.detach().clone()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, "none", [], "")
        return outputs


class OneDnnHead(torch.nn.Module):
    """A layer with as many outputs as a vocabulary has tokens, in pieces."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        weights = torch.split(weight, PIECE)
        biases = [None] * len(weights) if bias is None else torch.split(bias, PIECE)
        self.pieces = [OneDnnLinear(*each) for each in zip(weights, biases, strict=True)]

    @property
    def weight(self) -> torch.Tensor:
        """The weight `[outputs, inputs]` in torch's layout, a copy."""
        return torch.cat([piece.weight.to_dense() for piece in self.pieces])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([piece(inputs) for piece in self.pieces], -1)


def use_onednn(network: torch.nn.Module) -> None:
    """Replace every linear layer of a network, in place, where oneDNN is available.

    The other parameters are copied out of the file they are mapped from, so that its pages can go.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is torch.nn.Linear:
                kind = OneDnnHead if child.out_features >= VOCABULARY else OneDnnLinear
                setattr(parent, name, kind(child.weight, child.bias))
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
