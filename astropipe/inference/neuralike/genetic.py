"""Genetic algorithms, by DEAP: one that searches the network's architecture, one that makes first live points."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
from deap import algorithms, base, tools
from numpy.typing import NDArray

from astropipe.inference.neuralike.result import Architecture
from astropipe.runtime.errors import InputError

Array = NDArray[np.float64]

P_CROSSOVER = P_MUTATION = 0.5
TOURNAMENT = 2

P_BIT_SWAP, P_BIT_FLIP = 0.5, 0.11
"""Of each bit, in a crossover and in a mutation of the search [nnogada]."""

START_GENERATIONS, START_ELITE, START_CROWDING = 5, 2, 1.0
"""Of the run whose offspring become live points."""

EMPTY_GENERATIONS = 200
"""Generations after which a likelihood that is zero nearly everywhere is given up."""


class _Fitness(base.Fitness):
    """What is to be made small."""

    weights = (-1.0,)


class _Individual(list[Any]):
    """Genes and their fitness."""

    def __init__(self, genes: Sequence[Any]) -> None:
        super().__init__(genes)
        self.fitness = _Fitness()


def search_architecture(
    loss: Callable[[Architecture], float],
    choices: Sequence[Sequence[Any]],
    *,
    population: int,
    generations: int,
    rng: np.random.Generator,
) -> Architecture:
    """Return the architecture of least loss that a genetic search comes upon.

    As nnogada has it [Gómez-Vargas, Andrade & Vázquez 2023, Phys. Rev. D 107, 043509]: one gene of
    log2(number of choices) bits, rounded up, for each hyperparameter; tournaments of two, uniform crossover, flipped
    bits, the best individual kept. A gene beyond the last choice begins again at the first.

    Parameters
    ----------
    loss
        To be made small; asked once for each architecture.
    choices
        Of depth, width, batch size and learning rate.
    population, generations
        Individuals, and how often they are replaced.
    rng
        Makes the first individuals and seeds DEAP.
    """
    if all(len(values) == 1 for values in choices):
        return Architecture(*(values[0] for values in choices))
    known: dict[Architecture, float] = {}
    lengths = [max(1, math.ceil(math.log2(len(values)))) for values in choices]

    def decoded(bits: Sequence[int]) -> Architecture:
        genes = np.split(np.asarray(bits), np.cumsum(lengths)[:-1])
        numbers = [int("".join(map(str, gene)), 2) for gene in genes]
        return Architecture(*(values[i % len(values)] for i, values in zip(numbers, choices, strict=True)))

    def fitness(individuals: list[_Individual]) -> list[float]:
        for architecture in map(decoded, individuals):
            if architecture not in known:
                known[architecture] = loss(architecture)
        return [known[decoded(individual)] for individual in individuals]

    toolbox = base.Toolbox()
    toolbox.register("select", tools.selTournament, tournsize=TOURNAMENT)
    toolbox.register("mate", tools.cxUniform, indpb=P_BIT_SWAP)
    toolbox.register("mutate", tools.mutFlipBit, indpb=P_BIT_FLIP)
    first = [_Individual(bits) for bits in rng.integers(2, size=(population, sum(lengths))).tolist()]
    with _global_random(int(rng.integers(2**63))):
        for _ in islice(_evolve(first, toolbox, fitness, elite=1), generations):
            pass
    return min(known, key=lambda architecture: known[architecture])


def evolved_points(
    log_likelihood_of_many: Callable[[Array], Array], n_parameters: int, n_live: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return points of the unit cube [n, d] and their ln L [n]: all offspring of a genetic algorithm.

    They are no draws from the prior, duplicates are among them, and an evidence from them is too high.

    Parameters
    ----------
    log_likelihood_of_many
        ln L of points [m, d] of the unit cube as [m].
    n_parameters, n_live
        d and n.
    rng
        Makes the first individuals and seeds DEAP.

    Raises
    ------
    InputError
        If ln L is −inf nearly everywhere.
    """

    def fitness(individuals: list[_Individual]) -> list[float]:
        return [-float(value) for value in log_likelihood_of_many(np.array(individuals, dtype=np.float64))]

    toolbox = base.Toolbox()
    bounded = {"low": 0.0, "up": 1.0, "eta": START_CROWDING}
    toolbox.register("select", tools.selTournament, tournsize=TOURNAMENT)
    toolbox.register("mate", tools.cxSimulatedBinaryBounded, **bounded)
    toolbox.register("mutate", tools.mutPolynomialBounded, **bounded, indpb=1.0 / n_parameters)
    size = math.ceil(n_live / START_GENERATIONS) + START_ELITE
    first = [_Individual(genes) for genes in rng.random((size, n_parameters)).tolist()]
    found: list[_Individual] = []
    with _global_random(int(rng.integers(2**63))):
        for offspring in islice(_evolve(first, toolbox, fitness, elite=START_ELITE), EMPTY_GENERATIONS):
            # Where L = 0 there is nothing to sample: further generations take the place of such offspring.
            found += [individual for individual in offspring if math.isfinite(individual.fitness.values[0])]
            if len(found) >= n_live:
                break
        else:
            raise InputError(
                f"ln L is -inf at nearly all points of {EMPTY_GENERATIONS} generations; begin with genetic_start=False,"
                " or give a prior that overlaps with the likelihood"
            )
    u = np.array(found[:n_live], dtype=np.float64)
    return u, -np.array([individual.fitness.values[0] for individual in found[:n_live]])


def _evolve(
    population: list[_Individual],
    toolbox: base.Toolbox,
    fitness: Callable[[list[_Individual]], list[float]],
    elite: int,
) -> Iterator[list[_Individual]]:
    """Yield the offspring of one generation after the other; the best so far join the next population as they are."""
    hall = tools.HallOfFame(elite)
    _evaluate(population, fitness)
    hall.update(population)
    while True:
        offspring = toolbox.select(population, len(population) - elite)
        offspring = algorithms.varAnd(offspring, toolbox, P_CROSSOVER, P_MUTATION)
        _evaluate(offspring, fitness)
        yield offspring
        population = [*offspring, *hall.items]
        hall.update(offspring)


def _evaluate(individuals: list[_Individual], fitness: Callable[[list[_Individual]], list[float]]) -> None:
    new = [individual for individual in individuals if not individual.fitness.valid]
    for individual, value in zip(new, fitness(new) if new else [], strict=True):
        individual.fitness.values = (value,)


@contextmanager
def _global_random(seed: int) -> Iterator[None]:
    """Seed Python's random numbers, which DEAP draws from, and leave them as they were."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
