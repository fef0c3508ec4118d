"""t-SNE of several spaces at once, with equal bytes for equal inputs."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from openTSNE.initialization import pca
from threadpoolctl import threadpool_limits


def embed_spaces(spaces: Mapping[str, np.ndarray], *, perplexity: float, seed: int) -> dict[str, np.ndarray]:
    """Embed each space [N, F] in the plane [N, 2]; the spaces run side by side.

    Within a space everything runs on one thread: t-SNE amplifies the last bit of a sum, and threads change its order.
    perplexity: lowered to (N - 1) / 3 where there are too few samples for it.
    """
    with threadpool_limits(1), ThreadPoolExecutor(len(spaces)) as pool:
        planes = pool.map(lambda space: embed(space, perplexity=perplexity, seed=seed), spaces.values())
        return dict(zip(spaces, planes, strict=True))


def embed(features: np.ndarray, *, perplexity: float, seed: int) -> np.ndarray:
    """t-SNE of features [N, F] from exact neighbours and a PCA start: [N, 2] (van der Maaten and Hinton 2008).

    The schedule is the usual one: 250 steps with the affinities exaggerated twelvefold, then 500 without.
    """
    features = np.ascontiguousarray(features, np.float64)
    perplexity = min(perplexity, (len(features) - 1) / 3)
    affinities = PerplexityBasedNN(features, perplexity=perplexity, method="exact", n_jobs=1, random_state=seed)
    plane = TSNEEmbedding(
        pca(features, random_state=seed), affinities, negative_gradient_method="bh", n_jobs=1, random_state=seed
    )
    plane = plane.optimize(n_iter=250, exaggeration=12, momentum=0.5)
    return np.asarray(plane.optimize(n_iter=500, momentum=0.8))
