"""How good the generator, the judges and the classifiers' probabilities are."""

from collections.abc import Mapping
from functools import partial

from stages.report.blocks import Group, PageSection, Text
from stages.report.pictures import show_figure
from stages.report.results import MADE, Results
from stages.report.wording import compare, list_metrics

GENERATOR = (
    ("Fréchet distance to real test images, in the judge's features", "frechet_distance"),
    ("the same of real training images: the floor", "frechet_floor"),
    ("their ratio; 1 is as good as real", "frechet_ratio"),
    ("precision: share of generated images among the real ones", "precision"),
    ("the same of real training images", "precision_real"),
    ("recall: share of real images that are covered", "recall"),
    ("the same by real training images", "recall_real"),
    ("generated images that show their class, by the judge", "label_consistency"),
    ("the same of real test images", "judge_accuracy_real"),
    ("label gap: their difference", "label_gap"),
    ("widest label gap of a class", "label_gap_widest_class"),
    ("largest change of a severity's share", "severity_share_gap"),
    ("generated images closer to a training image than 99 % of test images are", "copies_share"),
)
JUDGES = (
    ("accuracy on real test images", "accuracy"),
    ("accuracy on the corrupted half", "accuracy_on_corrupted"),
    ("expected calibration error", "calibration_error"),
    ("share of real test images on which it is sure", "sure_share"),
    ("accuracy where it is sure", "sure_accuracy"),
    ("real test images on which it would call a right label wrong", "false_verdict_share"),
)
CALIBRATION = (
    ("calibration error on clean test images", MADE, "clean_calibration_error"),
    ("calibration error on the corrupted test set", MADE, "corrupted_calibration_error"),
)


def show_quality(results: Results, classifiers: Mapping[str, str]) -> PageSection:
    """Generator, judges, then the classifiers on real images; classifiers: each with the stage that made it."""
    qualified, judges, populations = "qualify_generator", "train_judges", "sample_populations"
    generator = Group(
        "Generator",
        [
            list_metrics("The generator against real images", GENERATOR, results.read_metrics(qualified)),
            *(
                show_figure(results, qualified, stem)
                for stem in ("fig2_real_above_generated", "label_consistency", "severities", "nearest_training_images")
            ),
            show_figure(results, populations, "fig3_spaces"),
        ],
    )
    judged = results.read_metrics(judges)
    examined = Group(
        "Judge and auditor",
        [
            compare(
                "Judge and auditor on real test images; the auditor is asked by no search",
                [(words, judges, key) for words, key in JUDGES],
                ("judge", "auditor"),
                lambda _, name: type(judged)(f"{judges}: {name}", judged.content.get(name, {}), judged.path, judges),
            ),
            list_metrics("Together", [("share of real test images on which both agree", "agreement")], judged),
            *(show_figure(results, judges, stem) for stem in ("reliability", "confusion")),
        ],
    )
    under_test = Group(
        "The classifiers on real images",
        [
            compare("Calibration", CALIBRATION, list(classifiers), partial(results.read_metrics_of, classifiers)),
            *(
                show_figure(results, f"{stage}/{name}", stem, name)
                for name, stage in classifiers.items()
                for stem in ("severities", "reliability", "confusion")
            ),
        ],
    )
    text = Text(
        "What is measured on generated images says something about real ones only as far as the generator makes "
        "images like them, with the labels that it was asked for. What the judge says counts only as far as the judge "
        "is right on real images."
    )
    return PageSection(
        "quality", "How good the generator and the judges are", [text], [generator, examined, under_test]
    )
