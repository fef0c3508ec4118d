"""The comparison step by step: rank in every way, move held-out samples, walk from class means, test for influence."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.populations.sampling import Drawn, draw_styles
from failure_atlas.populations.unconditional import label_with
from failure_atlas.ranking import attfind, gradient_scores, held_out, influence, methods
from failure_atlas.walks.crossing import LEVEL
from failure_atlas.walks.starts import choose_starts
from failure_atlas.world.show import CLASSIFIER
from stages.common.artefacts.walks import Opened
from stages.compare_rankings.params import Budget, CompareRankingsParams


@dataclass(frozen=True)
class Moved:
    """What the moves did to held-out samples, and the labels of the best methods, chosen on other samples.

    best, best_full: of the gradient scores, at the smallest and at the full budget.  attfind: of AttFind's variants.
    """

    outcomes: dict[held_out.Cell, held_out.Outcome]
    unmoved: held_out.Outcome
    best: str
    best_full: str
    attfind: str


@dataclass(frozen=True)
class Study:
    """What all steps of the comparison need."""

    section: CompareRankingsParams
    opened: Opened
    budget: Budget

    def stream(self, name: str) -> np.random.Generator:
        """The random stream of one purpose."""
        return numpy_stream(self.section.seed, "compare_rankings", name)

    def rank(self, w: np.ndarray) -> tuple[gradient_scores.RankingPass, list[methods.Method]]:
        """Rank in every way, on one set of samples of which the cheaper ways take the first of every class; w: all."""
        section, budget, samples = self.section, self.budget, self.opened.samples
        std, rows = samples.std, gradient_scores.take_balanced(samples.true_class, section.samples)
        styles, true_class, noise = samples.styles[rows], samples.true_class[rows], samples.noise[rows]
        ranked = gradient_scores.take_balanced(true_class, budget.samples)
        with self._progress("gradients", len(ranked)) as progress:
            gradients = gradient_scores.pass_gradients(
                self.opened.world, styles[ranked], true_class[ranked], std,
                noise=noise[ranked], few=budget.few or len(ranked), split_halves=section.split_halves,
                replicates=section.bootstrap_replicates, random=self.stream("halves"),
                steps=budget.steps, advance=progress.advance,
            )  # fmt: skip
        tried = gradient_scores.take_balanced(true_class, section.attfind_samples)
        trials = attfind.count_trials(len(tried), len(std))
        with Progress("AttFind", trials, "img") as progress:
            effects = attfind.find_effects(
                self.opened.generator, self.opened.classifier, styles[tried], true_class[tried],
                gradient_scores.weigh_classes(true_class[tried], np.ones((1, len(tried))))[0],
                np.stack([samples.styles.min(axis=0), samples.styles.max(axis=0)]),
                noise=noise[tried], batch_size=self.opened.world.batch_size, advance=progress.advance,
            )  # fmt: skip
        count, varying = max(*section.top_k, section.walk_dimensions), np.where(std > 0, std, 1)
        principal = {
            "pca_w": methods.map_directions(self.opened.generator, methods.find_principal(w[rows], count)) / varying,
            "pca_s": methods.find_principal(styles / varying, count),
        }
        return gradients, methods.build_methods(
            gradients, effects, principal,
            samples=len(ranked), passes=budget.passes, few=budget.few, attfind_samples=len(tried), count=count,
            random_draws=section.random_draws, random=self.stream("random dimensions"),
        )  # fmt: skip

    def move(self, ways: list[methods.Method]) -> Moved:
        """Choose the best of each kind on samples of their own (on those compared, luck would choose), and compare."""
        section, std, count = self.section, self.opened.samples.std, self.section.held_out_samples
        headline = (section.headline_k, section.headline_shift_std)
        rivals = [method for method in ways if method.name in (*methods.GRADIENTS, *methods.ATTFIND)]
        every = [(k, shift) for k in section.top_k for shift in section.shifts_std]
        grid = {method.label: every if method.is_measured_everywhere else [headline] for method in ways}
        alone = {method.label: [headline] for method in rivals}
        total = count * (len(rivals) + sum(map(len, grid.values())))
        fresh = self._draw(count, "held out")
        with Progress("moving held-out samples", total, "img") as progress:
            measure = partial(held_out.measure_shifts, self.opened.world, std=std, advance=progress.advance)
            seen = self._draw(count, "choice")
            choice = held_out.select_cell(
                measure(rivals, alone, seen.styles, seen.true_class, noise=seen.noise), headline
            )
            outcomes = measure(
                ways, grid, fresh.styles, fresh.true_class,
                noise=fresh.noise, judged=headline, confidence=self.opened.judge.confidence,
            )  # fmt: skip
        shown = self.opened.world.show(fresh.styles, [CLASSIFIER], noise=fresh.noise, keep_images=False)
        unmoved = held_out.judge_outcome(shown, fresh.true_class)
        cheapest = methods.FULL if self.budget.few is None else methods.SMALL

        def choose(names: tuple[str, ...], budget: str) -> str:
            labels = [rival.label for rival in rivals if rival.name in names and rival.budget == budget]
            return held_out.choose_best(labels, choice)

        best, best_full = (choose(methods.GRADIENTS, budget) for budget in (cheapest, methods.FULL))
        return Moved(outcomes, unmoved, best, best_full, choose(methods.ATTFIND, methods.FULL))

    def walk(self, ways: list[methods.Method]) -> tuple[dict[str, held_out.CoarseWalks], np.ndarray]:
        """Walks from the class means of which the classifier is sure, by method; and of which it is, bool.

        Each mean under the first draw of its noise, [classes].
        """
        samples = self.opened.samples
        starts = choose_starts(samples.styles, samples.true_class, samples.noise, samples.mean_noise[:1], [])
        shown = self.opened.world.show(starts.styles, [CLASSIFIER], noise=starts.noise, keep_images=False)
        sure = shown.score(starts.true_class) > LEVEL
        steps, columns = held_out.collect_directions(ways, self.section.walk_dimensions)
        with Progress("walking from class means", int(sure.sum()) * len(steps), "walks") as progress:
            walks = held_out.walk_coarsely(
                self.opened.world, starts.styles[sure], starts.true_class[sure], steps * samples.std,
                noise=starts.noise[sure], max_shift_std=self.section.max_shift_std,
                confidence=self.opened.judge.confidence, on_end=progress.advance,
            )  # fmt: skip
        return {label: walks.select(places) for label, places in columns.items()}, sure

    def test_influence(self, gradients: gradient_scores.RankingPass) -> influence.Influence:
        """Which dimensions are influential, and whether a second population of half the size would name the same."""
        samples, std = self.budget.samples, self.opened.samples.std
        drawn = self._draw(samples // 2, "second population")
        once = np.ones((1, len(drawn.noise)))
        weights = {gradient_scores.SOFTMAX: gradient_scores.weigh_classes(drawn.true_class, once)}
        with self._progress("gradients of a second population", len(drawn.noise)) as progress:
            second = gradient_scores.average_gradients(
                self.opened.world, drawn.styles, drawn.true_class, weights,
                noise=drawn.noise, steps=self.budget.steps, advance=progress.advance,
            )  # fmt: skip
        return influence.judge_influence(
            gradients.mean * std,
            (gradients.halves[0] * std, gradients.halves[1] * std),
            gradients.replicates * std,
            second[gradient_scores.SOFTMAX][0] * std,
            gradients.moments.global_standard_error() * std,
            fdr=self.section.fdr,
            samples=samples,
        )

    def _draw(self, count: int, name: str) -> Drawn:
        constant = self.opened.samples.constant_noise
        label = label_with(self.opened.world)
        return draw_styles(self.opened.generator, count, self.stream(name), constant_noise=constant, label=label)

    def _progress(self, what: str, samples: int) -> Progress:
        each = 1 if self.budget.steps is None else self.budget.passes
        return Progress(what, samples * each, "img")
