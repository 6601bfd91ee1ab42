import copy

import pytest
import torch

from latentmas.runners.onednn import PIECE, VOCABULARY, OneDnnHead, OneDnnLinear, use_onednn


@pytest.mark.parametrize("kind", [OneDnnLinear, OneDnnHead])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 48), (1, 5, 48), (2, 3, 48)])
def test_a_linear_layer_gives_what_torchs_own_gives(shape: tuple[int, ...], bias: bool, kind: type) -> None:
    dense = torch.nn.Linear(48, PIECE + 32, bias=bias)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        made = kind(dense.weight, dense.bias)
        torch.testing.assert_close(made(inputs), dense(inputs), rtol=1e-5, atol=1e-5)


def test_a_head_is_cut_into_pieces_and_gives_its_weight_back() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, VOCABULARY, bias=False))
    weight = network[0].weight
    use_onednn(network)
    assert [len(piece.weight.to_dense()) for piece in network[0].pieces] == [PIECE] * (VOCABULARY // PIECE)
    torch.testing.assert_close(network[0].weight, weight.detach(), rtol=0, atol=0)


def test_every_linear_layer_of_a_network_is_replaced() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Linear(8, 4)))
    before = copy.deepcopy(network)
    use_onednn(network)
    inputs = torch.ones(2, 8)
    assert not [each for each in network.modules() if type(each) is torch.nn.Linear]
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs), before(inputs))
