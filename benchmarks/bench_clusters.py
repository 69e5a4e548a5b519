"""Speed and accuracy of star clusters: force loop beside C, threads, massless particles, eta, pairs, core collapse.

Run ``python benchmarks/bench_clusters.py [--parts force scaling ...] [--output DIR]`` on a machine with a C compiler
and nothing else to do (`make bench-clusters`). Each part writes a table ``clusters-PART.md``; docs/clusters.md shows
them.

The C sums of the part *force* do what ours does: accelerations and jerks in double precision with IEEE arithmetic.
*plain* is the loop that one writes first; *tiled* has the layout and the order of summation of ours, which lets a
compiler use SIMD instructions without leave to reorder sums. Both are compiled with gcc -O3 -march=native, and with
-fno-math-errno, without which gcc vectorises no square root; it changes no result. Ours is compiled by LLVM for the
same machine, without fast-math. In each round all take turns, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cluster_eta
import numba
import numpy as np

from astropipe.config.clusters import ClusterStartConfig
from astropipe.nbody import integrate, total_energy
from astropipe.nbody.clusters import ClusterOptions, Controls, integrate_cluster, make_cluster
from astropipe.nbody.clusters.diagnostics import FRACTIONS, half_mass_relaxation_time
from astropipe.nbody.clusters.forces import forces, scratch, sharing
from astropipe.nbody.clusters.layout import sources
from astropipe.nbody.clusters.orbit import follow_orbit
from astropipe.nbody.clusters.run import ClusterRun

C_SOURCE = r"""
#include <math.h>
#include <string.h>
#define L 32
void plain(int n, const double *m, const double *x, const double *v, double *out) {
  for (int i = 0; i < n; i++) {
    double ax = 0, ay = 0, az = 0, jx = 0, jy = 0, jz = 0;
    for (int j = 0; j < n; j++) {
      if (j == i) continue;
      double dx = x[3*j] - x[3*i], dy = x[3*j+1] - x[3*i+1], dz = x[3*j+2] - x[3*i+2];
      double ux = v[3*j] - v[3*i], uy = v[3*j+1] - v[3*i+1], uz = v[3*j+2] - v[3*i+2];
      double r2 = dx*dx + dy*dy + dz*dz, q = 1.0 / r2;
      double p = m[j] * q * sqrt(q), a = 3.0 * (dx*ux + dy*uy + dz*uz) * q;
      ax += p*dx; ay += p*dy; az += p*dz;
      jx += p*(ux - a*dx); jy += p*(uy - a*dy); jz += p*(uz - a*dz);
    }
    double *o = out + 6*i;
    o[0] = ax; o[1] = ay; o[2] = az; o[3] = jx; o[4] = jy; o[5] = jz;
  }
}
void tiled(int n, int tiles, const double *restrict t, const double *restrict at, double *restrict out) {
  for (int i = 0; i < n; i++) {
    const double *p = at + 6*i;
    double s[6][L];
    memset(s, 0, sizeof s);
    for (int k = 0; k < tiles; k++) {
      const double *q = t + k*7*L;
      for (int l = 0; l < L; l++) {
        double dx = q[l] - p[0], dy = q[L+l] - p[1], dz = q[2*L+l] - p[2];
        double ux = q[3*L+l] - p[3], uy = q[4*L+l] - p[4], uz = q[5*L+l] - p[5];
        double r2 = dx*dx + dy*dy + dz*dz;
        r2 = r2 > 0.0 ? r2 : INFINITY;
        double w = 1.0 / r2, f = q[6*L+l] * w * sqrt(w), a = 3.0 * (dx*ux + dy*uy + dz*uz) * w;
        s[0][l] += f*dx; s[1][l] += f*dy; s[2][l] += f*dz;
        s[3][l] += f*(ux - a*dx); s[4][l] += f*(uy - a*dy); s[5][l] += f*(uz - a*dz);
      }
    }
    for (int c = 0; c < 6; c++) {
      for (int w = L/2; w > 0; w /= 2) for (int l = 0; l < w; l++) s[c][l] += s[c][l+w];
      out[6*i+c] = s[c][0];
    }
  }
}
"""
FLAGS = ("-O3", "-march=native", "-fno-math-errno")
ROUNDS = 31
SEEDS = range(5)
Table = list[dict[str, str]]


def main() -> None:
    """Run the parts that are asked for, print their tables, and write them where --output says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="which tables")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        text = markdown(PARTS[part]())
        print(f"{part}\n{text}", flush=True)
        (options.output / f"clusters-{part}.md").write_text(text, encoding="utf-8")


def markdown(table: Table) -> str:
    """Return the table as Markdown."""
    lines = [" | ".join(table[0]), " | ".join("---" for _ in table[0])]
    lines += [" | ".join(row.values()) for row in table]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def compiled_c(folder: str) -> Any:
    """Return the C sums as a library."""
    source, library = Path(folder) / "direct_sum.c", Path(folder) / "direct_sum.so"
    source.write_text(C_SOURCE, encoding="utf-8")
    subprocess.run(["gcc", *FLAGS, "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def pointer(array: np.ndarray) -> Any:
    """Return the address of an array for C."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def in_turns(contestants: dict[str, Callable[[], None]], rounds: int = ROUNDS) -> dict[str, np.ndarray]:
    """Return seconds of each contestant in each round, after one run that is not counted."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def equal_masses(n: int, seed: int = 1, **changes: Any) -> Any:
    """Return an equal-mass Plummer sphere."""
    return make_cluster(ClusterStartConfig(n_stars=n, masses="equal", **changes), seed)


def force() -> Table:
    """Compare the force loop with C on one thread."""
    numba.set_num_threads(1)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        library = compiled_c(folder)
        for n in (256, 512, 1024, 4096):
            cluster = equal_masses(n)
            m, x, v = (np.ascontiguousarray(part) for part in (cluster.masses, cluster.positions, cluster.velocities))
            tiles, at, work = sources(m, x, v), np.hstack([x, v]), scratch()
            results = {name: np.empty((n, 6)) for name in ("ours", "plain", "tiled")}
            share = sharing()

            def ours(tiles: Any = tiles, at: Any = at, n: int = n, work: Any = work, out: Any = results["ours"],
                     share: int = share) -> None:  # fmt: skip
                forces(tiles, at, n, share, work, out)

            def plain(n: int = n, m: Any = m, x: Any = x, v: Any = v, out: Any = results["plain"]) -> None:
                library.plain(n, *map(pointer, (m, x, v, out)))

            def tiled(n: int = n, tiles: Any = tiles, at: Any = at, out: Any = results["tiled"]) -> None:
                library.tiled(n, len(tiles), *map(pointer, (tiles, at, out)))

            seconds = in_turns({"ours": ours, "plain": plain, "tiled": tiled}, ROUNDS if n < 2000 else 5)
            assert np.allclose(results["ours"], results["plain"], rtol=1e-9, atol=1e-9)
            row = {"stars": str(n)}
            row |= {f"{name} [ns a pair]": f"{np.median(values) / n**2 * 1e9:.2f}" for name, values in seconds.items()}
            row |= {
                f"speed over C {name}": f"{np.median(seconds[name] / seconds['ours']):.2f}"
                for name in ("plain", "tiled")
            }
            table.append(row)
    return table


def scaling() -> Table:
    """Measure one and two threads, on the force loop and on whole runs."""
    table = []
    for n in (512, 1024, 2048):
        cluster = equal_masses(n)
        tiles, at = sources(cluster.masses, cluster.positions, cluster.velocities), np.hstack(cluster_state(cluster))
        out = np.empty((n, 6))
        t_end = 64.0 / n

        def loop(threads: int, n: int = n, tiles: Any = tiles, at: Any = at, out: Any = out) -> None:
            numba.set_num_threads(threads)
            work, share = scratch(), sharing()
            for _ in range(max(1, 4_000_000 // n**2)):
                forces(tiles, at, n, share, work, out)

        def run(threads: int, cluster: Any = cluster, t_end: float = t_end) -> None:
            numba.set_num_threads(threads)
            ClusterRun(cluster.masses, *cluster_state(cluster), Controls()).advance(t_end)

        row = {"stars": str(n)}
        for name, work_of in (("force loop", loop), ("whole run", run)):
            seconds = in_turns({str(k): (lambda k=k, f=work_of: f(k)) for k in (1, 2)}, 25)
            ratio = np.median(seconds["1"] / seconds["2"])
            row[f"{name}, 1 thread [ms]"] = f"{np.median(seconds['1']) * 1e3:.1f}"
            row[f"{name}, 2 threads [ms]"] = f"{np.median(seconds['2']) * 1e3:.1f}"
            row[f"{name}, ratio"] = f"{ratio:.2f}"
        table.append(row)
    return table


def cluster_state(cluster: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and velocities."""
    return cluster.positions, cluster.velocities


def relaxation() -> Table:
    """Integrate 256 stars over one half-mass relaxation time, on all threads."""
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    warm = equal_masses(64)
    integrate_cluster(warm, [0.1])
    table = []
    for masses in ("equal", "kroupa"):
        for seed in SEEDS:
            cluster = make_cluster(ClusterStartConfig(n_stars=256, masses=masses), seed)
            first = integrate_cluster(cluster, [1e-3]).log
            t_end = float(half_mass_relaxation_time(256, first["radii_stars"][0, FRACTIONS.index(0.5)]))
            start = time.perf_counter()
            result = integrate_cluster(cluster, [t_end])
            table.append(
                {
                    "masses": masses,
                    "seed": str(seed),
                    "t_rh": f"{t_end:.2f}",
                    "status": result.status,
                    "largest energy error": f"{np.abs(result.log['energy_error']).max():.1e}",
                    "forces on stars": f"{result.log['force_evaluations'][-1]:.2e}",
                    "wall [s]": f"{time.perf_counter() - start:.2f}",
                }
            )
    return table


def massless() -> Table:
    """Measure what massless particles cost, over the force loop that they need."""
    numba.set_num_threads(1)
    table = []
    for n in (256, 1024):
        alone = equal_masses(n)
        for m in (1_000, 10_000):
            cluster = equal_masses(n, n_massless=m)
            at, out = np.hstack(cluster_state(cluster)), np.empty((n + m, 6))
            tiles, work, share = (
                sources(cluster.masses, cluster.positions[:n], cluster.velocities[:n]),
                scratch(),
                sharing(),
            )
            steps = {}

            def run(name: str, made: Any, steps: dict[str, Any] = steps) -> None:
                steps[name] = ClusterRun(made.masses, *cluster_state(made), Controls())
                steps[name].advance(0.25)

            def ideal(tiles: Any = tiles, at: Any = at, n: int = n + m, share: int = share, work: Any = work,
                      out: Any = out) -> None:  # fmt: skip
                forces(tiles, at, n, share, work, out)

            seconds = in_turns(
                {
                    "with": lambda cluster=cluster, run=run: run("with", cluster),
                    "without": lambda alone=alone, run=run: run("without", alone),
                    "loop": ideal,
                },
                5,
            )
            n_forces = steps["with"].massless_forces
            extra = seconds["with"] - seconds["without"]
            per_pair = extra / (n_forces * n)
            table.append(
                {
                    "stars": str(n),
                    "massless": str(m),
                    "forces on massless": f"{n_forces:.3e}",
                    "extra time [s]": f"{np.median(extra):.2f}",
                    "extra [ns a pair]": f"{np.median(per_pair) * 1e9:.2f}",
                    "force loop [ns a pair]": f"{np.median(seconds['loop']) / ((n + m) * n) * 1e9:.2f}",
                    "over the ideal": f"{np.median(per_pair / (seconds['loop'] / ((n + m) * n))):.2f}",
                }
            )
    return table


def pairs() -> Table:
    """Compare ways to integrate hard binaries: alone, and in a cluster of 64 stars until some have formed."""
    numba.set_num_threads(1)
    table = []
    turns = 1000.0
    for e in (0.5, 0.9, 0.99):
        x, v = np.zeros((2, 3)), np.zeros((2, 3))
        x[1, 0], v[1, 1] = 1.0 - e, np.sqrt((1.0 + e) / (1.0 - e))
        masses, t_end = np.array([0.5, 0.5]), 2.0 * np.pi * turns
        x, v = x - x.mean(axis=0), v - v.mean(axis=0)
        start = np.r_[x[1] - x[0], v[1] - v[0]]
        out = np.empty(6)
        follow_orbit(1.0, start, t_end, out)
        begun = time.perf_counter()
        for _ in range(1000):
            follow_orbit(1.0, start, t_end, out)
        table.append(_pair_row(e, "Kepler's equation, one solution", 0, np.abs(out - start)[:3].max(),
                               (time.perf_counter() - begun) / 1000))  # fmt: skip
        for name, options in (
            ("logh6, power rule", {"method": "logh6", "timestep": "power", "tolerance": 1e-9}),
            ("auto, learned step", {"tolerance": 1e-9}),
        ):
            options["max_force_evaluations"] = 10**9
            integrate(masses, x, v, 1.0, **options)
            begun = time.perf_counter()
            result = integrate(masses, x, v, t_end, **options)
            back = (result.positions[1] - result.positions[0]) - start[:3]
            table.append(_pair_row(e, name, result.force_evaluations, np.abs(back).max(), time.perf_counter() - begun))
        run = ClusterRun(masses, x, v, Controls(pair_disturbance=0.0))
        begun = time.perf_counter()
        run.advance(t_end)
        end = run.phase().positions
        table.append(_pair_row(e, "block steps, eta 0.02", run.star_forces, np.abs(end[1] - end[0] - start[:3]).max(),
                               time.perf_counter() - begun))  # fmt: skip
    for limit in (0.0, 1e-3, 1e-2, 1e-1):
        errors, wall, cost = [], 0.0, []
        for seed in range(4):
            cluster = equal_masses(64, seed)
            begun = time.perf_counter()
            run = ClusterRun(cluster.masses, *cluster_state(cluster), Controls(pair_disturbance=limit))
            run.advance(40.0)
            wall += time.perf_counter() - begun
            error = total_energy(cluster.masses, *run.phase()) / total_energy(cluster.masses, *cluster_state(cluster))
            errors.append(abs(float(error) - 1.0))
            cost.append(run.star_forces)
        table.append(
            {
                "case": "4 clusters of 64 stars, t = 40",
                "method": f"pairs up to gamma = {limit:g}" if limit else "block steps alone",
                "forces": f"{np.mean(cost):.2e}",
                "error": f"energy {np.median(errors):.0e}, worst {np.max(errors):.0e}",
                "wall [s]": f"{wall:.1f}",
            }
        )
    return table


def _pair_row(e: float, method: str, cost: int, error: float, seconds: float) -> dict[str, str]:
    return {
        "case": f"one pair, e = {e:g}, 1000 turns",
        "method": method,
        "forces": f"{cost:.2e}" if cost else "",
        "error": f"place {error:.0e} a",
        "wall [s]": f"{seconds:.1e}",
    }


def collapse() -> Table:
    """Find when equal-mass Plummer spheres collapse, in first half-mass relaxation times of the model."""
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    table = []
    for n in (128, 512):
        when = []
        for seed in SEEDS:
            start = time.perf_counter()
            at, depth, result = core_collapse(equal_masses(n, seed))
            when.append(at)
            table.append(
                {
                    "stars": str(n),
                    "seed": str(seed),
                    "collapse [t_rh]": f"{at:.1f}",
                    "core radius then": f"{depth:.3f}",
                    "energy error": f"{abs(result.energy_error):.0e}",
                    "wall [s]": f"{time.perf_counter() - start:.0f}",
                }
            )
        median = {"stars": str(n), "seed": "median", "collapse [t_rh]": f"{np.median(when):.1f}"}
        table.append({key: median.get(key, "") for key in table[0]})
    return table


def core_collapse(cluster: Any, longest: float = 24.0) -> tuple[float, float, Any]:
    """Return when the core of a cluster is smallest, in half-mass relaxation times, its radius then, and the run.

    The core radius is averaged over 9 rows of the log, half a unit of time apart.
    """
    # A Plummer sphere of virial radius 1 has its half-mass radius at 0.769.
    unit = half_mass_relaxation_time(cluster.n_stars, 0.769)
    t_end = round(longest * unit)
    result = integrate_cluster(cluster, [float(t_end)], ClusterOptions(logs_per_snapshot=2 * t_end))
    smooth = np.convolve(result.log["core_radius"], np.full(9, 1.0 / 9.0), "valid")
    at = int(np.argmin(smooth))
    return float(result.log["time"][at + 4] / unit), float(smooth[at]), result


def checks() -> Table:
    """Look at what massless particles do: radii of the classes, bound shares and escapes, over seeds."""
    numba.set_num_threads(1)
    rows: list[dict[str, float]] = []
    for seed in SEEDS:
        cluster = make_cluster(ClusterStartConfig(n_stars=256, n_massless=2000), seed)
        run = integrate_cluster(cluster, [20.0, 40.0], ClusterOptions(logs_per_snapshot=80))
        rows.append(dict(_class_measures(run, cluster.n_stars)))
    table = []
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        error = values.std(ddof=1) / np.sqrt(len(values))
        table.append({"measure": name, "mean of 5 clusters": f"{values.mean():.3f}", "error": f"{error:.3f}"})
    return table


def _class_measures(run: Any, n: int) -> Iterator[tuple[str, float]]:
    log = run.log
    half, tenth = FRACTIONS.index(0.5), FRACTIONS.index(0.1)
    # Means over a few units of time: radii of few stars scatter.
    first, middle, last = slice(0, 8), slice(76, 85), slice(-8, None)
    for label, rows in (("t = 0-2", first), ("t = 19-21", middle), ("t = 38-40", last)):
        radii = {name: log[f"radii_{name}"][rows].mean(axis=0) for name in ("stars", "heavy", "massless")}
        yield f"r_h massless / stars, {label}", float(radii["massless"][half] / radii["stars"][half])
        yield f"r_h heavy / stars, {label}", float(radii["heavy"][half] / radii["stars"][half])
        yield f"10 % radius massless, {label}", float(radii["massless"][tenth])
        yield f"10 % radius stars, {label}", float(radii["stars"][tenth])
    for label, chosen in (("stars", slice(0, n)), ("massless", slice(n, None))):
        yield f"escaped by t = 20, {label}", float((run.escape_time[chosen] <= 20.0).mean())
        yield f"escaped by t = 40, {label}", float((run.escape_time[chosen] <= 40.0).mean())
        yield f"median speed of escape, {label}", float(np.nanmedian(run.escape_speed[chosen]))


PARTS: dict[str, Callable[[], Table]] = {
    "force": force,
    "scaling": scaling,
    "relaxation": relaxation,
    "massless": massless,
    "eta": cluster_eta.eta,
    "eta-gain": cluster_eta.gain,
    "pairs": pairs,
    "collapse": collapse,
    "checks": checks,
}

if __name__ == "__main__":
    main()
