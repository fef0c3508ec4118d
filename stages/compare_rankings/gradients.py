"""One pass of gradients, from which every gradient score follows, and any number of weighted means of it at once."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from failure_atlas.ranking.scores import Classify, Synthesize

CPU = torch.device("cpu")
PROBABILITY, ABSOLUTE, LOGIT, LOG_PROBABILITY = "probability", "absolute", "logit", "log_probability"
Differentiate = Callable[..., dict[str, torch.Tensor]]  # as `differentiate_outputs`
BACKWARD_PASSES = 2  # of a gradient, in forward passes: the usual reckoning of one forward and backward pass as 3


def differentiate_outputs(
    synthesize: Synthesize, classify: Classify, styles: torch.Tensor, true_class: torch.Tensor, *, logit: bool = True
) -> dict[str, torch.Tensor]:
    """Gradients of the true class's softmax, its logarithm and, if asked for, its logit: name -> [N, D].

    Two backward passes give all, as d p = p d log p.  styles: [N, D].  true_class: [N] int64.
    """
    with torch.enable_grad():
        leaf = styles.detach().requires_grad_(True)
        logits = classify(synthesize(leaf))
        own = true_class[:, None]
        log_probability = logits.log_softmax(dim=1).gather(1, own)
        # A sample's outputs depend on its own styles only: the gradient of a sum holds each sample's gradient.
        (d_log,) = torch.autograd.grad(log_probability.sum(), leaf, retain_graph=logit)
        gradients = {PROBABILITY: d_log * log_probability.detach().exp(), LOG_PROBABILITY: d_log}
        if logit:
            (gradients[LOGIT],) = torch.autograd.grad(logits.gather(1, own).sum(), leaf)
    return gradients


def average_gradients(
    synthesize: Synthesize,
    classify: Classify,
    styles: np.ndarray,
    true_class: np.ndarray,
    weights: Mapping[str, np.ndarray],
    *,
    batch_size: int,
    device: torch.device = CPU,
    on_batch: Callable[[int], None] = lambda _: None,
    on_gradients: Callable[[np.ndarray, np.ndarray], None] = lambda _gradients, _true_class: None,
    differentiate: Differentiate = differentiate_outputs,
) -> dict[str, np.ndarray]:
    """Weighted means of gradients over samples: name of the gradient -> [R, D] float64.

    styles: [N, D] float32.  true_class: [N] int64.  weights: gradient -> [R, N]; names are those of this module,
    `absolute` being |d softmax|. Without `logit` its backward pass is saved.  on_batch: told the number of samples
    after each batch.  on_gradients: given the softmax gradients [n, D] and classes of each batch.  differentiate: how a
    batch's gradients are made.
    Memory grows with R and D, not with N; the result depends on batch_size by float rounding only.
    """
    means = {name: np.zeros((len(rows), styles.shape[1])) for name, rows in weights.items()}
    for first in range(0, len(styles), batch_size):
        rows = slice(first, first + batch_size)
        batch = torch.from_numpy(styles[rows]).to(device)
        labels = torch.from_numpy(true_class[rows]).to(device)
        tensors = differentiate(synthesize, classify, batch, labels, logit=LOGIT in weights)
        gradients = {name: tensor.cpu().numpy().astype(np.float64) for name, tensor in tensors.items()}
        gradients[ABSOLUTE] = np.abs(gradients[PROBABILITY])
        for name, mean in means.items():
            mean += weights[name][:, rows] @ gradients[name]
        on_gradients(gradients[PROBABILITY], true_class[rows])
        on_batch(len(batch))
    return means


def score_gradients(means: Mapping[str, np.ndarray], std: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient scores of each dimension from mean gradients: name -> [D], negative where raising s lowers it.

    means: gradient -> [D].  std: [D]. `paper` is the score of Le Coz et al. (2022, 2.2), per raw style unit; all
    others are per standard deviation. A mean of absolute values has no direction: it takes that of the mean.
    """
    return {
        "paper": means[PROBABILITY],
        "gradient_std": means[PROBABILITY] * std,
        "absolute_gradient_std": np.sign(means[PROBABILITY]) * means[ABSOLUTE] * std,
        "logit_gradient_std": means[LOGIT] * std,
        "log_probability_gradient_std": means[LOG_PROBABILITY] * std,
    }
