# Galaxies: simulated surveys and pictures -> stamps -> features in chunks -> catalogs, comparison with the truth, figures.
# Also runs alone: snakemake --snakefile workflows/morphology.smk --cores all
from astropipe.config import resolve
from astropipe.config.jobs import CODE, Jobs, check_files

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)
FIGURES = ["class-mosaic", "group-mosaic", "galaxy-map", "planes", "physical-order"]


pathvars:
    results=JOBS.results,


wildcard_constraints:
    sample="[a-z0-9-]+",
    figure="|".join(FIGURES),
    chunk=r"\d+",
    chunks=r"\d+",


# The stamps of a set are simulated or cut, by its name.
ruleorder: simulate > cut


rule all:
    input:
        expand(
            "<results>/morphology/{sample}/galaxies.h5", sample=JOBS.galaxy_samples()
        ),
        expand(
            "<results>/morphology/{sample}/{figure}.png",
            sample=JOBS.galaxy_samples(),
            figure=FIGURES,
        ),
        expand("<results>/morphology/{sample}/groups.pdf", sample=JOBS.galaxy_samples()),
        expand(
            "<results>/morphology/{sample}/agreement-purity.png",
            sample=JOBS.galaxy_surveys(),
        ),
        ["<results>/morphology/metrics.h5"] if JOBS.galaxy_surveys() else [],


rule simulate:
    output:
        ensure("<results>/morphology/{sample}/stamps.h5", non_empty=True),
    log:
        "<results>/logs/morphology/{sample}/simulate.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/simulate.tsv"
    wildcard_constraints:
        sample="|".join(JOBS.galaxy_surveys()) or "no-sample",
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        seed=CONFIG.seed,
        settings=JOBS.get_galaxy_survey_options,
    shell:
        "exec astropipe morphology simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule cut:
    input:
        JOBS.get_picture_files,
    output:
        ensure("<results>/morphology/{sample}/stamps.h5", non_empty=True),
    log:
        "<results>/logs/morphology/{sample}/cut.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/cut.tsv"
    wildcard_constraints:
        sample="|".join(JOBS.pictures()) or "no-sample",
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        seed=CONFIG.seed,
        files=JOBS.get_picture_names,
        settings=JOBS.get_cut_options,
    shell:
        "exec astropipe morphology cut {params.files:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule encode:
    input:
        JOBS.get_encoder_files,
        stamps="<results>/morphology/{sample}/stamps.h5",
    output:
        ensure(
            "<results>/morphology/{sample}/chunks/{chunk}-of-{chunks}.h5",
            non_empty=True,
        ),
    log:
        "<results>/logs/morphology/{sample}/encode/{chunk}-of-{chunks}.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/encode/{chunk}-of-{chunks}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        seed=CONFIG.seed,
        settings=JOBS.get_encode_options,
    shell:
        "exec astropipe morphology encode {input.stamps:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --chunk {wildcards.chunk}/{wildcards.chunks} --threads {threads} --resume --force > {log:q} 2>&1"


rule gather:
    input:
        JOBS.get_feature_chunk_files,
    output:
        ensure("<results>/morphology/{sample}/features.h5", non_empty=True),
    log:
        "<results>/logs/morphology/{sample}/gather.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/gather.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
    shell:
        "exec astropipe merge {input:q} --output {output:q} --force > {log:q} 2>&1"


rule classify:
    input:
        JOBS.get_encoder_files,
        features="<results>/morphology/{sample}/features.h5",
        stamps="<results>/morphology/{sample}/stamps.h5",
    output:
        ensure("<results>/morphology/{sample}/galaxies.h5", non_empty=True),
    log:
        "<results>/logs/morphology/{sample}/classify.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/classify.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        seed=CONFIG.seed,
        settings=JOBS.get_classify_options,
    shell:
        "exec astropipe morphology classify {input.features:q} {input.stamps:q} --output {output:q} {params.settings}"
        " --seed {params.seed} --threads {threads} --force > {log:q} 2>&1"


rule evaluate:
    input:
        lambda wildcards: [
            f"{JOBS.results}/morphology/{sample}/{name}.h5"
            for sample in JOBS.galaxy_surveys()
            for name in ("stamps", "galaxies")
        ],
    output:
        ensure("<results>/morphology/metrics.h5", non_empty=True),
    log:
        "<results>/logs/morphology/evaluate.log",
    benchmark:
        "<results>/benchmarks/morphology/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["morphology"],
        settings=JOBS.get_morphology_evaluate_options,
    shell:
        "exec astropipe morphology evaluate {input:q} --output {output:q} {params.settings}"
        " --threads {threads} --force > {log:q} 2>&1"


rule plot:
    input:
        "<results>/morphology/{sample}/galaxies.h5",
    output:
        report(
            "<results>/morphology/{sample}/{figure}.png",
            caption="report/galaxies.rst",
            category="3 Galaxies",
            labels={"sample": "{sample}", "figure": "{figure}"},
        ),
    log:
        "<results>/logs/morphology/{sample}/plot-{figure}.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/plot-{figure}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure {wildcards.figure} --output {output:q} > {log:q} 2>&1"


rule plot_groups:
    input:
        "<results>/morphology/{sample}/galaxies.h5",
    output:
        report(
            "<results>/morphology/{sample}/groups.pdf",
            caption="report/galaxy-groups.rst",
            category="3 Galaxies",
            labels={"sample": "{sample}", "figure": "a page for each group"},
        ),
    log:
        "<results>/logs/morphology/{sample}/plot-groups.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/plot-groups.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure group-pages --output {output:q} > {log:q} 2>&1"


rule plot_agreement_purity:
    input:
        "<results>/morphology/{sample}/stamps.h5",
        "<results>/morphology/{sample}/galaxies.h5",
    output:
        report(
            "<results>/morphology/{sample}/agreement-purity.png",
            caption="report/agreement-purity.rst",
            category="3 Galaxies",
            labels={"sample": "{sample}", "figure": "purity against agreement"},
        ),
    log:
        "<results>/logs/morphology/{sample}/plot-agreement-purity.log",
    benchmark:
        "<results>/benchmarks/morphology/{sample}/plot-agreement-purity.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_galaxy_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure agreement-purity --output {output:q} > {log:q} 2>&1"
