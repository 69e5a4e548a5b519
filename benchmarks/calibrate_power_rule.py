"""Find the accuracy parameter of the power rule for each integrator and tolerance, as astropipe/nbody/policy.py has it.

Run ``python benchmarks/calibrate_power_rule.py``; it takes some minutes. Systems are of the kinds, and priced as, in
the training of the policy, from a stream of their own. For each tolerance, mu with the least geometric mean of the
price is found on a grid; then mu = min(limit, factor * tolerance^exponent) is fitted, the limit being the largest mu.
"""

from __future__ import annotations

import numpy as np

from astropipe.nbody.arrays import FloatArray
from astropipe.nbody.steps import METHODS
from astropipe.nbody.training import Runs, draw_runs, prices
from astropipe.runtime.seeds import stream

SEED, N_SYSTEMS = 1, 50
GRID = [0.36 * 0.87**k for k in range(40)]
TOLERANCES = {
    "leapfrog": (1e-2, 1e-3, 1e-4),
    "logh2": (1e-2, 1e-3, 1e-4, 1e-5),
    "hermite4": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "yoshida4": (1e-3, 1e-4, 1e-5, 1e-6),
    "logh4": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
}
ALL = tuple(10.0**-k for k in range(2, 11))


def mean_price(method: str, mu: float, runs: list[Runs]) -> float:
    """Return the geometric mean of the price."""
    logs = [np.log(prices(batch, method=method, timestep="power", mu=mu)) for batch in runs]
    return float(np.exp(np.mean(logs)))


def best_mu(method: str, runs: list[Runs]) -> tuple[float, float]:
    """Return mu with the least price, and the price, from a grid that is walked down as far as there is hope.

    There may be two valleys: of steps that hold the tolerance, and of longer ones that the guard halves now and then.
    """
    found: list[tuple[float, float]] = []
    for mu in GRID:
        found.append((mean_price(method, mu, runs), mu))
        if found[-1][0] > 2.0 * min(found)[0]:
            break
    price, mu = min(found)
    return mu, price


def fit(tolerances: FloatArray, mu: FloatArray) -> tuple[float, float, float]:
    """Return factor, exponent and limit."""
    limit = mu.max()
    free = mu < 0.9 * limit
    if free.sum() < 2:
        return float(limit), 0.0, float(limit)
    exponent, log_factor = np.polyfit(np.log(tolerances[free]), np.log(mu[free]), 1)
    return float(np.exp(log_factor)), float(exponent), float(limit)


def main() -> None:
    """Print the best mu and its price for each method and tolerance, and the fits."""
    for method in METHODS:
        tolerances = np.array(TOLERANCES.get(method, ALL))
        best = []
        for tolerance in tolerances:
            runs = draw_runs(stream(SEED, "nbody.calibrate"), N_SYSTEMS, np.array([tolerance]))
            mu, price = best_mu(method, runs)
            best.append(mu)
            print(f"{method:9s} tolerance {tolerance:.0e}: mu {mu:.4f}, price {price:.0f}", flush=True)
        factor, exponent, limit = fit(tolerances, np.array(best))
        print(f'    "{method}": ({factor:.3g}, {exponent:.3g}, {limit:.3g}),', flush=True)


if __name__ == "__main__":
    main()
