"""A W-Matrix all of whose numbers can learn: its arrays as a torch module, and back."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from latentmas.protocol.eight_bit import from_eight_bit
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION


class Student(nn.Module):
    """Predicts a target's rows as `kvcache.exchange.mapping` does; the matrices work on standardised rows."""

    source_mean: torch.Tensor
    source_scale: torch.Tensor
    target_mean: torch.Tensor
    target_scale: torch.Tensor

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        """Take the arrays of a W-Matrix with a correction of some first layers."""
        super().__init__()
        arrays = from_eight_bit(arrays)
        self._arrays = arrays
        for name in ("source_mean", "source_scale", "target_mean", "target_scale"):
            self.register_buffer(name, torch.from_numpy(np.array(arrays[name], np.float32)))
        inner, outer = (np.array(arrays[name], np.float32) for name in CORRECTION)
        self.lags, self.width, _ = inner.shape
        self.encoder, self.decoder, self.inner, self.outer = (
            nn.Parameter(torch.tensor(each))
            for each in (
                arrays["encoder"],
                arrays["decoder"],
                inner.reshape(self.lags * self.width, -1),
                outer[:, self.width :],
            )
        )
        self.bias = nn.Parameter(torch.zeros(self.decoder.shape[1]))

    def forward(self, source_rows: torch.Tensor, own_rows: torch.Tensor | None) -> torch.Tensor:
        """Return rows `[texts, tokens, dt]` from source rows `[texts, tokens, ds]`.

        With `own_rows` `[texts, tokens, dt]` their first layers are known, and correct the others.
        """
        latents = (source_rows - self.source_mean) / self.source_scale @ self.encoder
        standardised = latents @ self.decoder + self.bias
        if own_rows is not None:
            own = ((own_rows - self.target_mean) / self.target_scale)[..., : self.width]
            innovations = [own - standardised[..., : self.width]]
            for _ in range(1, self.lags):
                innovations.append(nn.functional.pad(innovations[-1][:, :-1], (0, 0, 1, 0)))
            added = torch.cat(innovations, -1) @ self.inner @ self.outer
            standardised = torch.cat([own, standardised[..., self.width :] + added], -1)
        return standardised * self.target_scale + self.target_mean

    def arrays(self) -> dict[str, Array]:
        """Return the W-Matrix's arrays as learnt, in the precision of its file."""
        learnt = {name: value.detach().float().cpu().numpy() for name, value in self.named_parameters()}
        inner = learnt["inner"].reshape(self.lags, self.width, -1)
        outer = np.pad(learnt["outer"], ((0, 0), (self.width, 0)))
        scale = np.asarray(self._arrays["target_scale"], np.float32)
        grown = np.linalg.norm(learnt["encoder"], axis=0) / np.linalg.norm(self._arrays["encoder"], axis=0)
        return self._arrays | {
            "encoder": learnt["encoder"].astype(np.float16),
            "decoder": learnt["decoder"].astype(np.float16),
            **dict(zip(CORRECTION, (inner.astype(np.float16), outer.astype(np.float16)), strict=True)),
            "latent_scale": np.asarray(self._arrays["latent_scale"] * grown, np.float32),
            "target_mean": np.asarray(self._arrays["target_mean"] + learnt["bias"] * scale, np.float32),
        }
