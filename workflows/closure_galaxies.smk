# Closure of galaxies: galaxies of known class, redshift and age -> stamps -> classes -> ages of early types -> H0 and matter
# density, for several selections of several surveys -> bias against purity, and a figure of it.
# Also runs alone: snakemake --snakefile workflows/closure_galaxies.smk --cores all
from astropipe.config import resolve
from astropipe.config.jobs.closure_galaxies import GalaxiesClosureJobs
from astropipe.config.jobs import CODE, Jobs, check_files, relative
from astropipe.runtime.shipped import weights_file

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)
CLOSURE = GalaxiesClosureJobs(CONFIG)


pathvars:
    results=JOBS.results,


wildcard_constraints:
    number=r"\d+",
    selection="|".join(CLOSURE.selections()) or "no-selection",


rule all:
    input:
        CLOSURE.posteriors(),
        [
            "<results>/closure-galaxies/metrics.h5",
            "<results>/closure-galaxies/impurity.png",
            "<results>/closure-galaxies/expansion.png",
        ]
        if CLOSURE.posteriors()
        else [],


rule simulate:
    output:
        ensure("<results>/closure-galaxies/survey-{number}/stamps.h5", non_empty=True),
    log:
        "<results>/logs/closure-galaxies/survey-{number}/simulate.log",
    benchmark:
        "<results>/benchmarks/closure-galaxies/survey-{number}/simulate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_survey_options,
    shell:
        "exec astropipe morphology simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule classify:
    input:
        relative(weights_file("galaxy-encoder.h5")),
        stamps="<results>/closure-galaxies/survey-{number}/stamps.h5",
    output:
        ensure("<results>/closure-galaxies/survey-{number}/galaxies.h5", non_empty=True),
    log:
        "<results>/logs/closure-galaxies/survey-{number}/classify.log",
    benchmark:
        "<results>/benchmarks/closure-galaxies/survey-{number}/classify.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_classify_options,
    shell:
        "exec astropipe morphology classify {input.stamps:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule sample:
    input:
        # Not named in the command: the problem knows its data.
        "<results>/closure-galaxies/survey-{number}/galaxies.h5",
        "<results>/closure-galaxies/survey-{number}/stamps.h5",
    output:
        ensure(
            "<results>/closure-galaxies/survey-{number}/{selection}.h5", non_empty=True
        ),
    log:
        "<results>/logs/closure-galaxies/survey-{number}/sample-{selection}.log",
    benchmark:
        "<results>/benchmarks/closure-galaxies/survey-{number}/sample-{selection}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["inference"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_sample_options,
    shell:
        "exec astropipe inference sample --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule evaluate:
    input:
        CLOSURE.posteriors(),
    output:
        ensure("<results>/closure-galaxies/metrics.h5", non_empty=True),
    log:
        "<results>/logs/closure-galaxies/evaluate.log",
    benchmark:
        "<results>/benchmarks/closure-galaxies/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["inference"],
    shell:
        "exec astropipe inference evaluate {input:q} --output {output:q} --threads {threads} --force > {log:q} 2>&1"


rule plot_impurity:
    input:
        "<results>/closure-galaxies/metrics.h5",
    output:
        report(
            "<results>/closure-galaxies/impurity.png",
            caption="report/impurity.rst",
            category="5 Closure",
            labels={"closure": "galaxies", "figure": "bias of H0 against purity"},
        ),
    log:
        "<results>/logs/closure-galaxies/plot-impurity.log",
    benchmark:
        "<results>/benchmarks/closure-galaxies/plot-impurity.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure impurity --output {output:q} > {log:q} 2>&1"


rule plot_expansion:
    input:
        CLOSURE.posteriors()[:1],
    output:
        report(
            "<results>/closure-galaxies/expansion.png",
            caption="report/expansion.rst",
            category="5 Closure",
            labels={"closure": "galaxies", "figure": "expansion rate of one survey"},
        ),
    log:
        "<results>/logs/closure-galaxies/plot-expansion.log",
    benchmark:
        "<results>/benchmarks/closure-galaxies/plot-expansion.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure expansion --output {output:q} > {log:q} 2>&1"
