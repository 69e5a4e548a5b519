# Closure of stars: clusters of known mass and size -> spectra of their stars and of the field -> catalogs -> posteriors ->
# coverage and bias, and a figure of truth against posterior. Each cluster has a truth of its own. Priorities bring one cluster
# to its end before the next is begun, so that a run that is broken off has whole clusters.
# Also runs alone: snakemake --snakefile workflows/closure_stars.smk --cores all
from astropipe.config import resolve
from astropipe.config.jobs.closure_stars import StarsClosureJobs
from astropipe.config.jobs import CODE, Jobs, check_files, relative
from astropipe.runtime.shipped import weights_file

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)
CLOSURE = StarsClosureJobs(CONFIG)


pathvars:
    results=JOBS.results,


wildcard_constraints:
    number=r"\d+",
    posterior="posterior|exact",


rule all:
    input:
        CLOSURE.files("posterior"),
        ["<results>/closure-stars/metrics.h5", "<results>/closure-stars/recovery.png"]
        if CLOSURE.numbers()
        else [],
        ["<results>/closure-stars/emulation.h5"] if CLOSURE.compared() else [],


rule simulate:
    output:
        ensure("<results>/closure-stars/cluster-{number}/start.h5", non_empty=True),
    log:
        "<results>/logs/closure-stars/cluster-{number}/simulate.log",
    benchmark:
        "<results>/benchmarks/closure-stars/cluster-{number}/simulate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["clusters"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_start_options,
    shell:
        "exec astropipe nbody simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule integrate:
    input:
        "<results>/closure-stars/cluster-{number}/start.h5",
    output:
        ensure("<results>/closure-stars/cluster-{number}/evolved.h5", non_empty=True),
    log:
        "<results>/logs/closure-stars/cluster-{number}/integrate.log",
    benchmark:
        "<results>/benchmarks/closure-stars/cluster-{number}/integrate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["clusters"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_run_options,
    shell:
        "exec astropipe nbody integrate {input:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule observe:
    input:
        relative(weights_file("spectra-emulator.h5")),
        cluster=CLOSURE.get_cluster_file,
    output:
        ensure("<results>/closure-stars/cluster-{number}/spectra.h5", non_empty=True),
    log:
        "<results>/logs/closure-stars/cluster-{number}/observe.log",
    benchmark:
        "<results>/benchmarks/closure-stars/cluster-{number}/observe.tsv"
    priority: 1
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_survey_options,
    shell:
        "exec astropipe spectra simulate {input.cluster:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule predict:
    input:
        relative(weights_file("spectra-emulator.h5")),
        spectra="<results>/closure-stars/cluster-{number}/spectra.h5",
    output:
        ensure("<results>/closure-stars/cluster-{number}/stars.h5", non_empty=True),
    log:
        "<results>/logs/closure-stars/cluster-{number}/predict.log",
    benchmark:
        "<results>/benchmarks/closure-stars/cluster-{number}/predict.tsv"
    priority: 2
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        seed=CLOSURE.get_seed,
        settings=CLOSURE.get_predict_options,
    shell:
        "exec astropipe spectra predict {input.spectra:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule sample:
    input:
        # Not named in the command: the problem knows its data.
        "<results>/closure-stars/cluster-{number}/stars.h5",
    output:
        ensure(
            "<results>/closure-stars/cluster-{number}/{posterior}.h5", non_empty=True
        ),
    log:
        "<results>/logs/closure-stars/cluster-{number}/sample-{posterior}.log",
    benchmark:
        "<results>/benchmarks/closure-stars/cluster-{number}/sample-{posterior}.tsv"
    priority: 3
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_memory,
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
        posteriors=CLOSURE.files("posterior"),
        # Where the truth is found, by the hashes of what the posteriors were made from.
        made_from=CLOSURE.files("stars", "spectra"),
    output:
        ensure("<results>/closure-stars/metrics.h5", non_empty=True),
    log:
        "<results>/logs/closure-stars/evaluate.log",
    benchmark:
        "<results>/benchmarks/closure-stars/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["inference"],
    shell:
        "exec astropipe inference evaluate {input.posteriors:q} {input.made_from:q} --output {output:q}"
        " --threads {threads} --force > {log:q} 2>&1"


rule plot_recovery:
    input:
        "<results>/closure-stars/metrics.h5",
    output:
        report(
            "<results>/closure-stars/recovery.png",
            caption="report/recovery.rst",
            category="5 Closure",
            labels={"closure": "stars", "figure": "posteriors against the truth"},
        ),
    log:
        "<results>/logs/closure-stars/plot-recovery.log",
    benchmark:
        "<results>/benchmarks/closure-stars/plot-recovery.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure recovery --output {output:q} > {log:q} 2>&1"


# What emulation does: exact posteriors beside the emulated ones of the same stars.
rule evaluate_emulation:
    input:
        CLOSURE.compared(),
    output:
        ensure("<results>/closure-stars/emulation.h5", non_empty=True),
    log:
        "<results>/logs/closure-stars/evaluate-emulation.log",
    benchmark:
        "<results>/benchmarks/closure-stars/evaluate-emulation.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=CLOSURE.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["inference"],
    shell:
        "exec astropipe inference evaluate {input:q} --output {output:q}"
        " --threads {threads} --force > {log:q} 2>&1"
