"""The negative log-likelihood of tokens under a model's head. Imported only where a model runs."""

import torch

ROWS = 256  # that are multiplied by a piece of the head at a time: their logits fit a core's cache


def nll_by(head: torch.nn.Module, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return each token's NLL in nats under its hidden state `[tokens, hidden]`; the logits are never all in memory."""
    with torch.inference_mode():
        found = [_nll(head, *part) for part in zip(torch.split(hidden, ROWS), torch.split(tokens, ROWS), strict=True)]
    return torch.cat(found)


def _nll(head: torch.nn.Module, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    totals, start = [], 0
    own = torch.full((len(tokens), 1), -torch.inf)
    for piece in getattr(head, "pieces", [head]):
        logits = piece(hidden)
        totals.append(logits.logsumexp(-1))
        index = (tokens - start)[:, None]
        start += logits.shape[-1]
        inside = (index >= 0) & (index < logits.shape[-1])
        own = torch.where(inside, logits.gather(1, index.clamp(0, logits.shape[-1] - 1)), own)
    return torch.stack(totals).logsumexp(0) - own[:, 0]
