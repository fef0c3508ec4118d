"""t-SNE: equal bytes on a second run and in company, neighbours kept."""

import numpy as np

from failure_atlas.populations.spaces import embed, embed_spaces


def draw_clusters(samples):
    stream = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    return (stream.standard_normal((samples, 5)) + 12 * np.eye(5)[labels]).astype(np.float32), labels


def test_alone_or_side_by_side_the_bytes_are_equal():
    features, _ = draw_clusters(90)
    spaces = embed_spaces({"one": features, "two": features[:, :3], "three": features}, perplexity=10, seed=1)
    assert list(spaces) == ["one", "two", "three"]
    assert spaces["one"].shape == (90, 2)
    assert spaces["one"].tobytes() == spaces["three"].tobytes()
    assert spaces["one"].tobytes() == embed(features, perplexity=10, seed=1).tobytes()
    assert not np.allclose(spaces["one"], spaces["two"])


def test_clusters_stay_clusters():
    features, labels = draw_clusters(90)
    plane = embed(features, perplexity=10, seed=1)
    assert np.isfinite(embed(features[:12], perplexity=30, seed=1)).all()  # which few samples lower
    distances = np.linalg.norm(plane[:, None] - plane, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(1)] == labels).mean() > 0.98
