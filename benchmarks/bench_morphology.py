"""Unsupervised classes of galaxies against the truth, beside the published pipeline: tables of docs/morphology.md.

python benchmarks/bench_morphology.py [--parts simulated,turns,resamples,denoise,speed,zoo] [--zoo galaxy-zoo.h5]

The simulated galaxies are drawn by GalSim with seeds that nothing else uses (half an hour at first use); no encoder
learned from them. ``--zoo`` names a file of Galaxy Zoo pictures with classes, which is not part of the repository.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from morphology_sets import LEVELS, galaxy_zoo, joined, simulated
from morphology_turns import turn_rows, turns_note
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, balanced_accuracy_score, normalized_mutual_info_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from astropipe.morphology import describing
from astropipe.morphology.classes import CLASSES
from astropipe.morphology.classification import Classified, Settings, classify
from astropipe.morphology.encoder_artifact import Encoder
from astropipe.morphology.encoding import View
from astropipe.morphology.evaluation import kept_at, named_right, purity_at
from astropipe.morphology.measures import measure
from astropipe.morphology.paper.pipeline import PaperSettings, group_features
from astropipe.morphology.reduction import fit_reduction
from astropipe.morphology.rendering.survey import Survey, simulate
from astropipe.morphology.stamps import Stamps
from astropipe.morphology.standard import RADII_IN_VIEW, disk, turned_and_scaled
from astropipe.morphology.voting import Consensus, consensus
from astropipe.runtime.errors import MissingDependencyError

RESULTS = Path(__file__).parent / "results"
SETS = Path("results-morphology")
THREADS = 2
_COSMOS = tuple(level for level in LEVELS if level >= 50)
_NOISELESS = 1e5
_DENOISED = 200


def write_table(name: str, title: str, head: list[str], rows: list[list[str]], note: str) -> None:
    """Write a table as Markdown."""
    lines = [
        title,
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    (RESULTS / f"morphology-{name}.md").write_text("\n".join([*lines, "", note, ""]), encoding="utf-8")
    print((RESULTS / f"morphology-{name}.md").read_text(encoding="utf-8"))


def described(
    stamps: Stamps, encoder: str | None = None, precision: Literal["float32", "bfloat16"] = "float32"
) -> describing.Described:
    """Measure and encode stamps."""
    return describing.describe(stamps, describing.stamp_encoder(encoder, precision), threads=THREADS)


def own(known: describing.Described, encoder: Encoder, seed: int = 0) -> Classified:
    """Classify by the default settings."""
    values = describing.quantities(known.measures.__getitem__, known.encoded.truths)
    assert encoder.reference is not None
    return classify(known.encoded.embedding, values, encoder.reference, Settings(), seed=seed, threads=THREADS)


def by_majority(groups: NDArray[np.integer], true: NDArray[np.generic]) -> NDArray[np.generic]:
    """Name each group by the class of most of its members: what an eye could do at best."""
    told = true.copy()
    for group in np.unique(groups):
        kinds, counts = np.unique(true[groups == group], return_counts=True)
        told[groups == group] = kinds[counts.argmax()]
    return told


def simulated_part(encoder: Encoder, options: argparse.Namespace) -> None:
    """Purity, kept fraction, ARI and NMI of ours and of the published pipeline with the encoders that can be had."""
    rows: list[list[str]] = []
    sets = {level: simulated(SETS, level) for level in LEVELS}
    known = {level: described(stamps) for level, stamps in sets.items()}
    others = {level: contestants(level, sets[level], known[level]) for level in _COSMOS}
    for level, stamps in sets.items():
        true = stamps.columns["morphology"].astype(str)
        rows += block(f"{level:g}", true, known[level], others.get(level, {}), encoder)
    together = {name: np.concatenate([one[name] for one in others.values()]) for name in others[_COSMOS[0]]}
    true = np.concatenate([sets[level].columns["morphology"].astype(str) for level in _COSMOS])
    everything = describing.joined([known[level] for level in _COSMOS])
    rows += block(f"{_COSMOS[0]:g} to {_COSMOS[-1]:g}", true, everything, together, encoder)
    head = ["S/N", "features and vote", "kept / purity", "purity at 53 %", "at 75 %", "kept at 95 % purity"]
    head += ["purity of all", "ARI / NMI", "the same three with SPH and ETD as one", "groups named right"]
    note = (
        "Ours names its groups itself; in the rows of the published rule (K = 20, three clusterings that must agree) "
        "groups are named by the majority of the truth, an upper bound. Its ARI and NMI are of four k-means clusters. "
        "The last row of each block is what the features permit: it is no vote, and knows classes."
    )
    write_table("simulated", f"Galaxies drawn by GalSim, {len(sets[LEVELS[0]])} for each S/N", head, rows, note)


def block(
    name: str,
    true: NDArray[np.str_],
    known: describing.Described,
    others: dict[str, NDArray[np.float64]],
    encoder: Encoder,
) -> list[list[str]]:
    """Return the rows of one set of galaxies."""
    result = own(known, encoder)
    right = result.by_votes == true
    ours = [
        f"{result.kept.mean():.2f} / {right[result.kept].mean():.3f}",
        f"{purity_at(result.agreement, right, 0.53):.3f}",
        f"{purity_at(result.agreement, right, 0.75):.3f}",
        f"{kept_at(result.agreement, right, 0.95):.2f}",
        *all_scores(result.by_votes, true),
        f"{named_right(result.groups, true, result.named.names):.2f}",
    ]
    rows = [[name, "ours", *ours]]
    rows += [[name, contestant, *published_rule(features, true)] for contestant, features in others.items()]
    return [*rows, [name, "a linear classifier told the classes of four fifths", *told_classes(known, true)]]


def all_scores(told: NDArray[np.str_], true: NDArray[np.str_]) -> list[str]:
    """Return purity, and ARI and NMI, of all galaxies; and all three with the two classes as one that look alike."""
    cells = []
    for a, b in ((told, true), (np.where(told == "ETD", "SPH", told), np.where(true == "ETD", "SPH", true))):
        scores = f"{adjusted_rand_score(b, a):.2f} / {normalized_mutual_info_score(b, a):.2f}"
        cells += [f"{np.mean(a == b):.3f}", scores]
    return [*cells[:2], " / ".join(cells[2:])]


def contestants(level: float, stamps: Stamps, known: describing.Described) -> dict[str, NDArray[np.float64]]:
    """Return features for the published rule; those of others, which take minutes, are kept."""
    features = {"our embedding, published rule": known.encoded.embedding.astype(np.float64)}
    for label, encoder in (("EfficientNet-Lite0 of polar strips", "efficientnet-lite0"), ("harmonics", "harmonics")):
        path = SETS / f"features-{encoder}-{level:g}.npy"
        try:
            if not path.exists():
                np.save(path, described(stamps, encoder).encoded.features)
            features[f"{label}, published rule"] = np.load(path).astype(np.float64)
        except MissingDependencyError as error:
            print(f"notice: {error}")
    return features


def published_rule(features: NDArray[np.float64], true: NDArray[np.str_]) -> list[str]:
    """Return the cells of one contestant under the published vote."""
    scaled = np.nan_to_num(StandardScaler().fit_transform(features))
    settings = PaperSettings(n_components=min(40, scaled.shape[1]), denoiser_steps=0)
    groups, kept, _, _ = group_features(scaled, settings)
    right = by_majority(groups, true) == true
    four = KMeans(len(CLASSES), n_init=10, random_state=0).fit_predict(scaled)
    scores = f"{adjusted_rand_score(true, four):.2f} / {normalized_mutual_info_score(true, four):.2f}"
    purity = f"{right[kept].mean():.3f}" if kept.any() else "–"
    return [f"{kept.mean():.2f} / {purity}", "–", "–", "–", f"{right.mean():.3f}", scores, "–", "by the truth"]


def told_classes(known: describing.Described, true: NDArray[np.str_]) -> list[str]:
    """Return the cells of a linear classifier, by cross-validation."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=3000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    features = np.nan_to_num(np.concatenate((known.encoded.features, known.encoded.embedding), axis=1))
    probability = cross_val_predict(model, features, true, cv=folds, method="predict_proba")
    told, sure = np.unique(true)[probability.argmax(axis=1)], probability.max(axis=1)
    right = told == true
    return [
        "–",
        f"{purity_at(sure, right, 0.53):.3f}",
        f"{purity_at(sure, right, 0.75):.3f}",
        f"{kept_at(sure, right, 0.95):.2f}",
        *all_scores(told, true),
        "–",
    ]


def turns_part(encoder: Encoder, options: argparse.Namespace) -> None:
    """How much features and classes change when the picture of a galaxy is turned."""
    stamps = simulated(SETS, 100.0)
    rows = turn_rows(stamps, described(stamps), encoder, THREADS)
    write_table("turns", "Turned galaxies", ["measure", "value"], rows, turns_note())


def resamples_part(encoder: Encoder, options: argparse.Namespace) -> None:
    """How much classes change when the votes see another sample of the galaxies."""
    stamps = joined([simulated(SETS, level) for level in _COSMOS])
    known = described(stamps)
    values = describing.quantities(known.measures.__getitem__, known.encoded.truths)
    rng = np.random.default_rng(0)
    found = []
    for seed in range(20):
        drawn = np.unique(rng.integers(len(stamps), size=len(stamps)))
        assert encoder.reference is not None
        result = classify(
            known.encoded.embedding[drawn], values[drawn], encoder.reference, Settings(), seed=seed, threads=THREADS
        )
        found.append((drawn, result))
    classes, groups, sure = [], [], []
    for i, (one, first) in enumerate(found):
        for other, second in found[:i]:
            _, a, b = np.intersect1d(one, other, return_indices=True)
            classes.append(adjusted_rand_score(first.by_votes[a], second.by_votes[b]))
            groups.append(adjusted_rand_score(first.groups[a], second.groups[b]))
            both = first.kept[a] & second.kept[b]
            sure.append(adjusted_rand_score(first.by_votes[a][both], second.by_votes[b][both]))
    rows = [
        [what, f"{np.mean(values_):.3f}", f"{np.min(values_):.3f}"]
        for what, values_ in (("classes of all", classes), ("classes of the kept", sure), ("groups of all", groups))
    ]
    note = f"20 bootstrap resamples of {len(stamps)} galaxies of S/N {_COSMOS[0]:g} to {_COSMOS[-1]:g}, all pairs."
    write_table("resamples", "ARI between votes", ["of", "mean", "lowest"], rows, note)


def speed_part(encoder: Encoder, options: argparse.Namespace) -> None:
    """Galaxies a second, side by side."""
    stamps = simulated(SETS, 100.0)
    rows = []
    known = described(stamps.rows(slice(0, 64)))
    for name, work in (
        ("measure, encode and vote", lambda: own(described(stamps), encoder)),
        ("the same in half precision", lambda: own(described(stamps, precision="bfloat16"), encoder)),
        ("measure", lambda: measure(stamps)),
        ("encode", lambda: described_without_measures(stamps, known)),
        ("render, with noise", lambda: simulate(Survey(), 0, 0, len(stamps))),
    ):
        begin, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        rows.append([name, f"{len(stamps) / wall:.0f}", f"{1000 * cpu / len(stamps):.1f}"])
    write_table(
        "speed",
        f"{len(stamps)} stamps of 128 x 128 pixels, {THREADS} threads",
        ["work", "galaxies/s", "core-ms each"],
        rows,
        "",
    )


def described_without_measures(stamps: Stamps, known: describing.Described) -> None:
    """Encode stamps with radii that are known already."""
    n, middle = len(stamps), (stamps.size - 1) / 2
    view = View(np.full(n, 8.0), np.full((n, 2), middle), np.ones(n, dtype=bool))
    describing.stamp_encoder(None)(stamps, view)


def zoo_part(encoder: Encoder, options: argparse.Namespace) -> None:
    """Real galaxies: a linear probe on frozen features, and the votes, groups named by the majority of the truth."""
    if options.zoo is None:
        print("notice: no --zoo FILE, the part zoo is left out")
        return
    stamps, true = galaxy_zoo(options.zoo)
    rows = []
    for label, name in (("ours", None), ("harmonics", "harmonics"), ("EfficientNet-Lite0", "efficientnet-lite0")):
        try:
            known = described(stamps, name)
        except MissingDependencyError as error:
            print(f"notice: {error}")
            continue
        usable = np.isfinite(known.encoded.features).all(axis=1)
        features, embedding = known.encoded.features[usable], known.encoded.embedding[usable]
        vote = votes_of(embedding)
        told = by_majority(vote.groups, true[usable])
        shares = np.array([vote.votes[:, told_of(vote.groups, told) == kind].sum(axis=1) for kind in range(4)]).T
        right = shares.argmax(axis=1) == true[usable]
        rows.append(
            [
                label,
                probed(features, true[usable]),
                f"{purity_at(shares.max(axis=1), right, 0.5):.3f}",
                f"{right.mean():.3f}",
                f"{roc_auc_score(right, shares.max(axis=1)):.2f}",
            ]
        )
        if label == "ours":
            both = np.concatenate((features, embedding), axis=1)
            rows.append(["ours, features and embedding", probed(both, true[usable]), "–", "–", "–"])
    note = (
        f"{len(true)} pictures, classes {np.bincount(true).tolist()}: smooth, spiral, edge-on, irregular or merging. "
        "Five repetitions of five-fold cross-validation; twelve groups."
    )
    head = ["features", "balanced accuracy of a linear probe", "purity at 50 % kept", "purity of all", "AUROC"]
    write_table("zoo", "Galaxy Zoo example pictures", head, rows, note)


def probed(features: NDArray[np.floating], true: NDArray[np.integer]) -> str:
    """Return the balanced accuracy of a linear probe, mean and scatter over repetitions of the cross-validation."""
    scores = []
    for seed in range(5):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=3000))
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        scores.append(balanced_accuracy_score(true, cross_val_predict(model, features, true, cv=folds)))
    return f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"


def votes_of(embedding: NDArray[np.float32]) -> Consensus:
    """Return the votes for twelve groups."""
    reduced = fit_reduction(embedding, 20).apply(embedding)
    return consensus(reduced, n_groups=12, n_runs=60, seed=0, threads=THREADS)


def told_of(groups: NDArray[np.integer], told: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the name of each group from those of its members."""
    return np.array([told[groups == group][0] if (groups == group).any() else -1 for group in range(groups.max() + 1)])


def denoise_part(encoder: Encoder, options: argparse.Namespace) -> None:
    """How much noise the encoder's denoiser leaves in what the network sees, and how much light."""
    size = encoder.network.architecture.input_px
    inner = disk(size).numpy()
    rows = []
    for level in LEVELS:
        noisy, light = (network_views(snr, size) for snr in (level, _NOISELESS))
        with torch.inference_mode():
            ours = encoder.denoiser(torch.from_numpy(noisy)).numpy()
        light *= level / _NOISELESS
        smoothed = [gaussian_filter(noisy, (0, sigma, sigma)) for sigma in (0.5, 0.8, 1.2, 1.8, 2.5)]
        left = [np.sqrt(np.mean((images - light)[:, inner] ** 2)) for images in (noisy, ours, *smoothed)]
        kept = np.median(ours[:, inner].sum(axis=1) / light[:, inner].sum(axis=1))
        rows.append([f"{level:g}", f"{left[0]:.2f}", f"{min(left[2:]):.2f}", f"{left[1]:.2f}", f"{100 * kept:.1f} %"])
    note = (
        "Root mean square of what differs from the light, in units of the noise of the sky, in the network's view of "
        f"{_DENOISED} galaxies of the analytic renderer that nothing learned from; the Gaussian is the best of five "
        "for each row, chosen knowing the light."
    )
    head = ["S/N", "noise in the view", "best Gaussian leaves", "denoiser leaves", "light kept, median"]
    write_table("denoise", "The denoiser before the network", head, rows, note)


def network_views(snr: float, size: int) -> NDArray[np.float32]:
    """Return simulated galaxies as the network sees them before any stretch, in units of the noise of the sky."""
    stamps = simulate(Survey(snr=(snr, snr)), 5, 0, _DENOISED)
    radius = np.asarray(stamps.columns["r_e"]) / stamps.pixel_scale_arcsec
    scale = torch.from_numpy((radius * 2 * RADII_IN_VIEW / size).astype(np.float32))
    noise = torch.from_numpy(stamps.sky_rms.astype(np.float32)) / scale.clamp(min=1.0)
    views = turned_and_scaled(torch.from_numpy(stamps.images), size, scale) / noise[:, None, None]
    return np.asarray(views.numpy())


PARTS: dict[str, Callable[[Encoder, argparse.Namespace], None]] = {
    "simulated": simulated_part,
    "turns": turns_part,
    "resamples": resamples_part,
    "denoise": denoise_part,
    "speed": speed_part,
    "zoo": zoo_part,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--zoo", type=Path, help="file of Galaxy Zoo pictures with classes")
    chosen = parser.parse_args()
    shipped = describing.own_encoder(None)
    assert shipped is not None
    for part in chosen.parts.split(","):
        PARTS[part](shipped, chosen)
