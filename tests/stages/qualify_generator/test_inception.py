"""The InceptionV3 feature network with random weights: its shape, its file, and what can be wrong with the file."""

import pytest
import torch
from safetensors.torch import save_file

from failure_atlas.core.errors import StageError
from stages.qualify_generator.inception import FEATURES, Inception
from stages.qualify_generator.inception_weights import load_inception

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Inception().eval().requires_grad_(False)


def test_has_the_parameters_of_inception_v3(network):
    # 23,834,568 of the published network with 1,000 classes, less the classification layer.
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_834_568 - 2_049_000
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert shapes["Mixed_6c.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_4.bn.running_var"] == (192,)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)


def test_grey_and_colour_of_any_size_to_2048_features(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    # The published file also holds the classification head, which is not needed.
    save_file(network.state_dict() | {"fc.weight": torch.zeros(1008, FEATURES)}, path)
    loaded = load_inception(path, CPU)
    grey = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    features = loaded(grey)
    assert features.shape == (1, FEATURES)
    torch.testing.assert_close(features, network(grey.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-12)
    assert features.std() > 1e-12


def test_torch_state_dict_without_batch_counts_loads(network, tmp_path):
    path = tmp_path / "weights.pth"
    state = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    torch.save(state, path)
    assert torch.equal(
        load_inception(path, CPU).Mixed_7b.branch1x1.conv.weight, state["Mixed_7b.branch1x1.conv.weight"]
    )


def test_mistakes_are_named(tmp_path):
    for name in ("torn.pth", "torn.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(
            StageError, match=r"inception_weights: .*cannot be read .*allowed: \.safetensors or a torch"
        ):
            load_inception(tmp_path / name, CPU)
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(StageError, match=r"holds a list; needed: a state dict"):
        load_inception(tmp_path / "list.pth", CPU)
    save_file({"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, tmp_path / "few.safetensors")
    with pytest.raises(StageError, match=r"lacks \d+ of \d+ entries, such as 'Conv2d_1a_3x3\.bn\.weight'"):
        load_inception(tmp_path / "few.safetensors", CPU)


def test_entry_of_another_shape(network, tmp_path):
    state = network.state_dict() | {"Mixed_5b.branch1x1.conv.weight": torch.zeros(2, 2)}
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(
        StageError, match=r"'Mixed_5b\.branch1x1\.conv\.weight' has the shape \[2, 2\]; needed: \[64, 192"
    ):
        load_inception(tmp_path / "other.safetensors", CPU)


def test_nothing_is_unpickled_as_code(tmp_path):
    torch.save(Inception, tmp_path / "code.pth")
    with pytest.raises(StageError, match="cannot be read"):
        load_inception(tmp_path / "code.pth", CPU)
