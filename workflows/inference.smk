# Posteriors: one sampling run for each problem, method and seed -> posterior, report, triangle and trace -> comparison with
# published values, of emulated posteriors with exact ones, and of seeds with each other.
# Also runs alone: snakemake --snakefile workflows/inference.smk --cores all
# Every stage is told its threads; plot has one and no such option.
from astropipe.config import resolve
from astropipe.config.jobs import CODE, Jobs, check_files, relative
from astropipe.config.jobs.inference import sample_settings
from astropipe.inference.sources import data_files

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)


pathvars:
    results=JOBS.results,


wildcard_constraints:
    posterior="[a-z0-9-]+",
    run="posterior|seed-[0-9]+",


rule all:
    input:
        expand(
            "<results>/inference/{posterior}/posterior.h5", posterior=JOBS.posteriors()
        ),
        expand(
            "<results>/inference/{posterior}/{figure}.png",
            posterior=JOBS.posteriors(),
            figure=["report", "triangle", "trace"],
        ),
        expand(
            "<results>/inference/{posterior}/emulator-errors.png",
            posterior=JOBS.emulated_posteriors(),
        ),
        expand(
            "<results>/inference/{posterior}/run-scatter.png",
            posterior=JOBS.repeated_posteriors(),
        ),
        ["<results>/inference/metrics.h5", "<results>/inference/constraints.png"]
        if JOBS.posteriors()
        else [],


rule sample:
    input:
        # Not named in the command: the problem knows its data. Here so that changed data make it run again.
        lambda wildcards: [
            relative(path)
            for path in data_files(sample_settings(CONFIG, wildcards.posterior))
        ],
    output:
        ensure("<results>/inference/{posterior}/{run}.h5", non_empty=True),
    log:
        "<results>/logs/inference/{posterior}/sample-{run}.log",
    benchmark:
        "<results>/benchmarks/inference/{posterior}/sample-{run}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["inference"],
        seed=JOBS.get_posterior_seed,
        settings=JOBS.get_sample_options,
    shell:
        "exec astropipe inference sample --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule evaluate:
    input:
        posteriors=[
            file
            for posterior in JOBS.posteriors()
            for file in JOBS.posterior_files(posterior)
        ],
        published=JOBS.published_constraints(),
    output:
        ensure("<results>/inference/metrics.h5", non_empty=True),
    log:
        "<results>/logs/inference/evaluate.log",
    benchmark:
        "<results>/benchmarks/inference/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["inference"],
        settings=JOBS.get_inference_evaluate_options,
    shell:
        "exec astropipe inference evaluate {input.posteriors:q} --output {output:q} {params.settings}"
        " --threads {threads} --force > {log:q} 2>&1"


rule plot_constraints:
    input:
        "<results>/inference/metrics.h5",
    output:
        report(
            "<results>/inference/constraints.png",
            caption="report/constraints.rst",
            category="4 Posteriors",
            labels={"posterior": "all", "figure": "against published values"},
        ),
    log:
        "<results>/logs/inference/plot-constraints.log",
    benchmark:
        "<results>/benchmarks/inference/plot-constraints.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure constraints --output {output:q} > {log:q} 2>&1"


rule plot_triangle:
    input:
        "<results>/inference/{posterior}/posterior.h5",
    output:
        report(
            "<results>/inference/{posterior}/triangle.png",
            caption="report/triangle.rst",
            category="4 Posteriors",
            labels={"posterior": "{posterior}", "figure": "triangle"},
        ),
    log:
        "<results>/logs/inference/{posterior}/plot-triangle.log",
    benchmark:
        "<results>/benchmarks/inference/{posterior}/plot-triangle.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure triangle --output {output:q} > {log:q} 2>&1"


rule plot_trace:
    input:
        "<results>/inference/{posterior}/posterior.h5",
    output:
        report(
            "<results>/inference/{posterior}/trace.png",
            caption="report/trace.rst",
            category="4 Posteriors",
            labels={"posterior": "{posterior}", "figure": "trace"},
        ),
    log:
        "<results>/logs/inference/{posterior}/plot-trace.log",
    benchmark:
        "<results>/benchmarks/inference/{posterior}/plot-trace.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure trace --output {output:q} > {log:q} 2>&1"


rule plot_report:
    input:
        "<results>/inference/{posterior}/posterior.h5",
    output:
        report(
            "<results>/inference/{posterior}/report.png",
            caption="report/posterior.rst",
            category="4 Posteriors",
            labels={"posterior": "{posterior}", "figure": "report"},
        ),
    log:
        "<results>/logs/inference/{posterior}/plot-report.log",
    benchmark:
        "<results>/benchmarks/inference/{posterior}/plot-report.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure report --output {output:q} > {log:q} 2>&1"


rule plot_emulator_errors:
    input:
        "<results>/inference/{posterior}/posterior.h5",
    output:
        report(
            "<results>/inference/{posterior}/emulator-errors.png",
            caption="report/emulator-errors.rst",
            category="4 Posteriors",
            labels={"posterior": "{posterior}", "figure": "errors of the emulator"},
        ),
    log:
        "<results>/logs/inference/{posterior}/plot-emulator-errors.log",
    benchmark:
        "<results>/benchmarks/inference/{posterior}/plot-emulator-errors.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure emulator-errors --output {output:q} > {log:q} 2>&1"


rule plot_run_scatter:
    input:
        lambda wildcards: JOBS.posterior_files(wildcards.posterior),
    output:
        report(
            "<results>/inference/{posterior}/run-scatter.png",
            caption="report/run-scatter.rst",
            category="4 Posteriors",
            labels={"posterior": "{posterior}", "figure": "scatter of runs"},
        ),
    log:
        "<results>/logs/inference/{posterior}/plot-run-scatter.log",
    benchmark:
        "<results>/benchmarks/inference/{posterior}/plot-run-scatter.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure run-scatter --output {output:q} > {log:q} 2>&1"
