# Stars: simulated surveys and real spectra -> labels in chunks -> catalogs, comparison with the truth, figures.
# Also runs alone: snakemake --snakefile workflows/spectra.smk --cores all
from astropipe.config import resolve
from astropipe.config.jobs import CODE, Jobs, check_files

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)


pathvars:
    results=JOBS.results,


wildcard_constraints:
    sample="[a-z0-9-]+",
    chunk=r"\d+",
    chunks=r"\d+",


rule all:
    input:
        expand("<results>/spectra/{sample}/stars.h5", sample=JOBS.spectra_samples()),
        expand("<results>/spectra/{sample}/kiel.png", sample=JOBS.spectra_samples()),
        expand("<results>/spectra/{sample}/examples.png", sample=JOBS.surveys()),
        expand("<results>/spectra/{sample}/label-errors.png", sample=JOBS.surveys()),
        expand("<results>/spectra/{sample}/label-pulls.png", sample=JOBS.surveys()),
        expand("<results>/spectra/{sample}/label-precision.png", sample=JOBS.surveys()),
        ["<results>/spectra/metrics.h5"] if JOBS.surveys() else [],


rule simulate:
    input:
        JOBS.get_survey_emulator,
    output:
        ensure("<results>/spectra/{sample}/spectra.h5", non_empty=True),
    log:
        "<results>/logs/spectra/{sample}/simulate.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/simulate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        seed=CONFIG.seed,
        settings=JOBS.get_survey_options,
    shell:
        "exec astropipe spectra simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule predict:
    input:
        JOBS.get_predict_emulator,
        spectra=JOBS.get_spectra_files,
    output:
        ensure(
            "<results>/spectra/{sample}/chunks/{chunk}-of-{chunks}.h5", non_empty=True
        ),
    log:
        "<results>/logs/spectra/{sample}/predict/{chunk}-of-{chunks}.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/predict/{chunk}-of-{chunks}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        seed=CONFIG.seed,
        settings=JOBS.get_predict_options,
    shell:
        "exec astropipe spectra predict {input.spectra:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --chunk {wildcards.chunk}/{wildcards.chunks} --threads {threads} --resume --force > {log:q} 2>&1"


rule gather:
    input:
        JOBS.get_spectra_chunk_files,
    output:
        ensure("<results>/spectra/{sample}/stars.h5", non_empty=True),
    log:
        "<results>/logs/spectra/{sample}/gather.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/gather.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
    shell:
        "exec astropipe merge {input:q} --output {output:q} --force > {log:q} 2>&1"


rule evaluate:
    input:
        lambda wildcards: [
            f"{JOBS.results}/spectra/{sample}/{name}.h5"
            for sample in JOBS.surveys()
            for name in ("spectra", "stars")
        ],
    output:
        ensure("<results>/spectra/metrics.h5", non_empty=True),
    log:
        "<results>/logs/spectra/evaluate.log",
    benchmark:
        "<results>/benchmarks/spectra/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        settings=JOBS.get_spectra_evaluate_options,
    shell:
        "exec astropipe spectra evaluate {input:q} --output {output:q} {params.settings}"
        " --threads {threads} --force > {log:q} 2>&1"


rule plot_kiel:
    input:
        "<results>/spectra/{sample}/stars.h5",
    output:
        report(
            "<results>/spectra/{sample}/kiel.png",
            caption="report/kiel.rst",
            category="2 Stars",
            labels={"sample": "{sample}", "figure": "Kiel diagram"},
        ),
    log:
        "<results>/logs/spectra/{sample}/plot-kiel.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/plot-kiel.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure kiel --output {output:q} > {log:q} 2>&1"


rule examples:
    input:
        JOBS.get_predict_emulator,
        spectra="<results>/spectra/{sample}/spectra.h5",
    output:
        ensure("<results>/spectra/{sample}/examples.h5", non_empty=True),
    log:
        "<results>/logs/spectra/{sample}/examples.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/examples.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        seed=CONFIG.seed,
        settings=JOBS.get_examples_options,
    shell:
        "exec astropipe spectra predict {input.spectra:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule plot_examples:
    input:
        "<results>/spectra/{sample}/spectra.h5",
        "<results>/spectra/{sample}/examples.h5",
    output:
        report(
            "<results>/spectra/{sample}/examples.png",
            caption="report/examples.rst",
            category="2 Stars",
            labels={"sample": "{sample}", "figure": "example spectra"},
        ),
    log:
        "<results>/logs/spectra/{sample}/plot-examples.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/plot-examples.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure examples --output {output:q} > {log:q} 2>&1"


rule plot_label_errors:
    input:
        "<results>/spectra/{sample}/spectra.h5",
        "<results>/spectra/{sample}/stars.h5",
    output:
        report(
            "<results>/spectra/{sample}/label-errors.png",
            caption="report/label-errors.rst",
            category="2 Stars",
            labels={"sample": "{sample}", "figure": "errors of labels"},
        ),
    log:
        "<results>/logs/spectra/{sample}/plot-label-errors.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/plot-label-errors.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure label-errors --output {output:q} > {log:q} 2>&1"


rule plot_label_pulls:
    input:
        "<results>/spectra/{sample}/spectra.h5",
        "<results>/spectra/{sample}/stars.h5",
    output:
        report(
            "<results>/spectra/{sample}/label-pulls.png",
            caption="report/label-pulls.rst",
            category="2 Stars",
            labels={"sample": "{sample}", "figure": "pulls and coverage"},
        ),
    log:
        "<results>/logs/spectra/{sample}/plot-label-pulls.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/plot-label-pulls.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure label-pulls --output {output:q} > {log:q} 2>&1"


rule plot_label_precision:
    input:
        "<results>/spectra/{sample}/spectra.h5",
        "<results>/spectra/{sample}/stars.h5",
    output:
        report(
            "<results>/spectra/{sample}/label-precision.png",
            caption="report/label-precision.rst",
            category="2 Stars",
            labels={"sample": "{sample}", "figure": "precision against the bound"},
        ),
    log:
        "<results>/logs/spectra/{sample}/plot-label-precision.log",
    benchmark:
        "<results>/benchmarks/spectra/{sample}/plot-label-precision.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure label-precision --output {output:q} > {log:q} 2>&1"
