"""The figures of all stages with what they show, in words for those who do not see them."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from failure_atlas.core.errors import StageError
from stages.report.blocks import Download, Picture
from stages.report.results import Results

PNG_START = b"\x89PNG\r\n\x1a\n"
SIZE_AT = 16  # byte at which a PNG states width and height


@dataclass(frozen=True)
class Words:
    """title and caption are read beside the figure, alternative in place of it."""

    title: str
    caption: str
    alternative: str


CATALOGUE: Mapping[str, Words] = {
    "judge_failures/verdicts": Words(
        "What becomes of every claimed failure",
        "Shares of true failures (the judge still sees the class that was meant, the classifier does not), label "
        "changes (the judge sees another class), unreadable images, and images that the classifier still gets right, "
        "by where the failures come from and by class. Lines: 95 % Wilson intervals of the share of true failures.",
        "Stacked bars of the four verdicts, one for each source of failures and one for each class, with counts.",
    ),
    "judge_failures/contact_sheet": Words(
        "Claimed failures, by verdict",
        "A random draw of each verdict. Above each image: class meant, arrow, class that the classifier says. Black: "
        "samples of the population; blue: corner cases of walks, in brackets the next class where the classifier "
        "still says the one meant. A star: farther out, or less real, than nearly all of its class.",
        "Four grids of small digit images: true failures, label changes, unreadable images, still right ones.",
    ),
    "walk_corner_cases/true_failures": Words(
        "First true failures of walks",
        "Where a walk along one dimension first meets an image that the classifier gets wrong and the judge still "
        "reads as the class meant; the nearest ones of each class.",
        "Grid of digit images, one class a row, each with its dimension, shift and the opinions on it.",
    ),
    "name_directions/directions": Words(
        "What the most influential directions do to an image",
        "Each row moves one sample along one dimension of the global ranking, from 3 std against the failing "
        "direction to 3 std along it; beside it the name by rule and the measured changes per std.",
        "Rows of seven images that change from left to right, one row for each of the leading dimensions.",
    ),
    "name_directions/ranking": Words(
        "The ranking of style dimensions",
        "Mean gradient of the true class's score along each of the leading dimensions, with 95 % intervals "
        "(paper 2.2).",
        "Dots with intervals, one for each leading style dimension, by falling influence.",
    ),
    "name_directions/fig4_well_against_mis": Words(
        "Well- against misclassified samples (figure 4)",
        "Histograms of the values of the top dimensions, and of as many random ones, over samples that the classifier "
        "gets right and wrong, with their Kolmogorov-Smirnov distance.",
        "Two rows of paired histograms: top dimensions above, random dimensions below.",
    ),
    "walk_corner_cases/fig7_corner_cases": Words(
        "Corner cases from the mean of each class (figure 7)",
        "One class a row: the mean image, then where the softmax of the true class falls to 0.50 along each of the "
        "leading dimensions. In red: never within the farthest shift.",
        "Ten rows of digit images; titles give dimension, direction, shift in std and the rival class.",
    ),
    "walk_corner_cases/fig5_degradation": Words(
        "Degradation along single dimensions (figure 5)",
        "Rows: shares of the shift at which the softmax of the true class is 0.50; columns: the leading dimensions.",
        "Grid of images of one class that get worse from top to bottom, with the classifier's output above each.",
    ),
    "measure_robustness/robustness": Words(
        "Share of samples for which no failure is found yet, against distance",
        "Kaplan-Meier curves. Left: all samples by class, walking along all dimensions together. Right: "
        "well-classified samples by the kind of walk. Bands: 95 %. The distance to a found failure bounds the "
        "nearest one from above.",
        "Falling step curves from 1 to 0 over distance in std, one for each class and for each kind of walk.",
    ),
    "measure_robustness/joint_walks": Words(
        "Walks along all dimensions together, from the class means",
        "From left to right: start, where the softmax falls to 0.50, the change, 1 std farther, and the nearest corner "
        "case along any single dimension; C: what the classifier sees, J: what the judge sees.",
        "One row of five images for each class, with distances and verdicts above them.",
    ),
    "compute_curves/fig6a_classifiers": Words(
        "Accuracy against distance from the class centre (figure 6a)",
        "Equal-count bins of distance in the top dimensions and in all; bands: 95 %; dotted: the judge on the same "
        "images, a ceiling for any classifier.",
        "Panels of accuracy curves over distance, one colour for each classifier.",
    ),
    "compute_curves/fig6b_classes": Words(
        "Accuracy against distance, by class (figure 6b)",
        "Distance in the top dimensions from the centre of the own class; black: all classes.",
        "Accuracy curves over distance, one for each class, one panel for each classifier.",
    ),
    "compute_curves/paired_difference": Words(
        "Difference between classifiers on the same samples",
        "Accuracy of one classifier minus that of the other, sample by sample; bands hold for the whole curve at "
        "once. Above 0 the first one is better.",
        "Curves of the difference in accuracy against distance and against shift.",
    ),
    "compute_curves/shift": Words(
        "Accuracy when the top dimensions are moved together",
        "Solid: top dimensions against the gradient; dashed: random dimensions; dotted: the judge on the moved images.",
        "Falling accuracy curves over the shift in std, together and by class for each classifier.",
    ),
    "compute_curves/projection": Words(
        "Accuracy against the projection on the degrading directions",
        "How far a sample already lies in the directions that lower the score, signed.",
        "Accuracy curves over the signed projection in std.",
    ),
    "compare_rankings/comparison": Words(
        "Rankings compared on held-out samples",
        "Left: mean softmax of the true class when each ranking's first directions are moved together. Middle: at the "
        "headline shift, with 95 % intervals; hollow: at a fiftieth of the samples. Right: share of true failures.",
        "Curves and dots for the paper's ranking, its variants, AttFind, principal components and random directions.",
    ),
    "compare_rankings/influence": Words(
        "How many dimensions have an influence",
        "Mean effect of each dimension with the dimensions found influential at the stated false discovery rate.",
        "Effects of all style dimensions by rank, and the stability of their signs.",
    ),
    "qualify_generator/fig2_real_above_generated": Words(
        "Real corrupted images above generated ones (figure 2)",
        "Both drawn at random, not chosen.",
        "Two grids of digit images: real ones above, generated ones below.",
    ),
    "qualify_generator/label_consistency": Words(
        "Does an image show the class that it was made for?",
        "Share on which the judge agrees with the label, on real and on generated images, by class; lines: 95 %.",
        "Pairs of shares for each class: real and generated.",
    ),
    "qualify_generator/severities": Words(
        "Severities of the corruptions, real and generated",
        "Share of images at each severity as a network reads it; lines: 95 %.",
        "Pairs of bars for each severity: real and generated.",
    ),
    "qualify_generator/nearest_training_images": Words(
        "Generated images that lie nearest to a training image",
        "Above: generated; below: the nearest training image. Copies would look the same.",
        "Two rows of digit images, pair by pair.",
    ),
    "sample_populations/fig3_spaces": Words(
        "The same samples in Z, W and S (figure 3)",
        "t-SNE. Above: coloured by class; below: by well- and misclassified.",
        "Six scatter plots: three latent spaces by class and by outcome.",
    ),
    "train_judges/reliability": Words(
        "Calibration of judge and auditor",
        "Accuracy against stated confidence on real test images; on the diagonal a probability means what it says.",
        "Reliability curves of judge and auditor beside the diagonal.",
    ),
    "train_judges/confusion": Words(
        "What judge and auditor take for what",
        "Counts on real test images; rows: class, columns: what they say.",
        "Two confusion matrices with nearly all counts on the diagonal.",
    ),
    "train_classifiers/reliability": Words(
        "Calibration of the classifier",
        "Accuracy against stated confidence on clean and on corrupted test images.",
        "Reliability curves of the classifier beside the diagonal.",
    ),
    "train_classifiers/severities": Words(
        "Accuracy of the classifier by severity of the corruption",
        "Real test images, by severity of each corruption; 0: left clean.",
        "Accuracies, one for each severity of the corruptions.",
    ),
    "train_classifiers/confusion": Words(
        "What the classifier takes for what",
        "Counts on real test images, clean and corrupted; rows: class, columns: what it says.",
        "Confusion matrices of the classifier.",
    ),
    "corrupt_images/severities": Words(
        "The corruptions",
        "The same images at every severity that was drawn from.",
        "Rows of images under rising severity.",
    ),
}

ALIKE = {"bring_classifiers": "train_classifiers"}  # stages whose figures have the words of another's


def show_figure(results: Results, place: str, stem: str, of: str = "", kind: str = "") -> Picture:
    """A stage's figure with its words and its CSV.

    place: the stage's folder.  of: what the figure is of, put behind its title, such as a classifier's name.  kind: its
    name in the catalogue where that is not the file's.
    """
    stage = place.split("/")[0]
    words = CATALOGUE[f"{ALIKE.get(stage, stage)}/{kind or stem}"]
    name = f"{place}/figures/{stem}.png"
    content = results.read(name)
    if not content.startswith(PNG_START):
        raise StageError(f"{results.folder / name}: no PNG; make it again with: dvc repro {stage}")
    width, height = struct.unpack(">II", content[SIZE_AT : SIZE_AT + 8])
    title = f"{words.title}: {of}" if of else words.title
    return Picture(
        title=title,
        caption=words.caption,
        alternative=f"{title}. {words.alternative}",
        uri=results.embed(name),
        width_px=width,
        height_px=height,
        download=offer(results, f"{place}/figures/{stem}.csv"),
    )


def offer(results: Results, name: str) -> Download:
    """A CSV to save; its name tells the folders that it stands in."""
    return Download(name.replace("/", "_"), results.embed(name))
