"""The two architectures: what they promise to the analysis, and their round trip through a file."""

import pytest
import torch

from failure_atlas.classifiers.networks import TRUNKS, Classifier, load_classifier, save_classifier
from failure_atlas.classifiers.training import initialise
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import save_tensors

CPU = torch.device("cpu")


def build(network, **arguments):
    classifier = Classifier(network, classes=4, width=8, **arguments)
    initialise(classifier, torch.Generator().manual_seed(1))
    return classifier


@pytest.mark.parametrize("network", TRUNKS)
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 28), (1, 64)])
def test_shapes_and_logits_are_linear_in_the_features(network, channels, size):
    classifier = build(network, channels=channels).eval()
    images = torch.rand(5, channels, size, size)
    features = classifier.features(images)
    assert features.shape == (5, classifier.head.in_features)
    torch.testing.assert_close(classifier(images), classifier.head(features))
    for count in (5, 1, 0):  # a search may ask about no images
        assert classifier(images[:count]).shape == (count, 4)


@pytest.mark.parametrize("network", TRUNKS)
def test_each_image_stands_alone_and_the_input_is_kept(network):
    classifier = build(network)
    images = torch.rand(6, 1, 32, 32)
    before = images.clone()
    alone = torch.cat([classifier(image[None]) for image in images])
    torch.testing.assert_close(classifier(images), alone, rtol=1e-4, atol=1e-5)
    assert torch.equal(images, before)


@pytest.mark.parametrize("network", TRUNKS)
def test_gradient_reaches_every_pixel_and_equals_finite_differences(network):
    classifier = build(network).double().eval()
    images = torch.rand(2, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(classifier(images)[:, 1].sum(), images)
    assert (gradient != 0).all()
    assert torch.autograd.gradcheck(lambda x: classifier(x).sum(0), images, fast_mode=True)


@pytest.mark.parametrize("network", TRUNKS)
def test_file_gives_the_same_classifier_back(network, tmp_path):
    classifier = build(network)
    images = torch.rand(8, 1, 32, 32)
    classifier.to(memory_format=torch.channels_last)  # as training leaves it
    save_classifier(tmp_path / "one.safetensors", classifier)
    loaded = load_classifier(tmp_path / "one.safetensors", CPU)
    torch.testing.assert_close(loaded(images), classifier(images), rtol=1e-5, atol=1e-6)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    save_classifier(tmp_path / "two.safetensors", loaded)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ({"network": "unknown", "classes": 4}, "unknown"),
        ({"network": "plain", "classes": 4, "depth": 3}, "depth"),
        ({"network": "plain", "classes": 9, "width": 8}, "state_dict"),
        (None, "architecture"),
    ],
)
def test_file_that_fits_no_known_architecture(architecture, reason, tmp_path):
    description = {"kind": "classifier"} | ({"architecture": architecture} if architecture else {})
    save_tensors(tmp_path / "c.safetensors", build("plain").state_dict(), description)
    with pytest.raises(StageError, match=rf"c\.safetensors: holds no classifier .*{reason}.*train it again"):
        load_classifier(tmp_path / "c.safetensors", CPU)


def test_file_of_another_kind(tmp_path):
    save_tensors(tmp_path / "g.safetensors", {}, {"kind": "generator"})
    with pytest.raises(StageError, match="holds a generator, needed: a classifier"):
        load_classifier(tmp_path / "g.safetensors", CPU)
