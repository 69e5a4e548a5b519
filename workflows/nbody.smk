# Orbits: ensembles of systems -> integrated in chunks -> catalogs, trajectories, figures; periodic boxes -> their flow.
# Also runs alone: snakemake --snakefile workflows/nbody.smk --cores all
# Every stage is told its threads; merge and plot have one and no such option.
from astropipe.config import resolve
from astropipe.config.jobs import CODE, Jobs, check_files

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)


pathvars:
    results=JOBS.results,


wildcard_constraints:
    ensemble="[a-z0-9-]+",
    cluster="[a-z0-9-]+",
    figure="radii|energy|escapes|map",
    box="|".join(JOBS.boxes()) or "no-box",
    chunk=r"\d+",
    chunks=r"\d+",


FLOW = expand(
    "<results>/nbody/{box}/{figure}.png",
    box=JOBS.boxes(),
    figure=["box-slices", "flow-moments", "flow-distributions"],
)


rule all:
    input:
        expand(
            "<results>/nbody/{ensemble}/triples.h5", ensemble=JOBS.catalog_ensembles()
        ),
        expand(
            "<results>/nbody/{ensemble}/energy-errors.png",
            ensemble=JOBS.catalog_ensembles(),
        ),
        expand(
            "<results>/nbody/{ensemble}/outcome-map.png",
            ensemble=JOBS.cold_start_ensembles(),
        ),
        expand(
            "<results>/nbody/{ensemble}/orbits.png",
            ensemble=JOBS.trajectory_ensembles(),
        ),
        ["<results>/nbody/metrics.h5"] if JOBS.catalog_ensembles() else [],
        expand(
            "<results>/clusters/{cluster}/{figure}.png",
            cluster=JOBS.clusters(),
            figure=("radii", "energy", "escapes", "map"),
        ),
        ["<results>/clusters/metrics.h5"] if JOBS.clusters() else [],
        FLOW,


# Star clusters alone.
rule cluster:
    input:
        expand(
            "<results>/clusters/{cluster}/{figure}.png",
            cluster=JOBS.clusters(),
            figure=("radii", "energy", "escapes", "map"),
        ),
        ["<results>/clusters/metrics.h5"] if JOBS.clusters() else [],


# The flow in periodic boxes alone.
rule flow:
    input:
        FLOW,


rule simulate:
    input:
        JOBS.get_simulate_files,
    output:
        ensure("<results>/nbody/{ensemble}/systems.h5", non_empty=True),
    log:
        "<results>/logs/nbody/{ensemble}/simulate.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/simulate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_simulate_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["nbody"],
        seed=CONFIG.seed,
        settings=JOBS.get_simulate_options,
    shell:
        "exec astropipe nbody simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule integrate:
    input:
        JOBS.get_policy_files,
        systems="<results>/nbody/{ensemble}/systems.h5",
    output:
        ensure(
            "<results>/nbody/{ensemble}/chunks/{chunk}-of-{chunks}.h5", non_empty=True
        ),
    log:
        "<results>/logs/nbody/{ensemble}/integrate/{chunk}-of-{chunks}.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/integrate/{chunk}-of-{chunks}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_integrate_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["nbody"],
        seed=CONFIG.seed,
        settings=JOBS.get_integrate_options,
    shell:
        "exec astropipe nbody integrate {input.systems:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --chunk {wildcards.chunk}/{wildcards.chunks} --threads {threads} --resume --force > {log:q} 2>&1"


rule gather:
    input:
        JOBS.get_chunk_files,
    output:
        ensure("<results>/nbody/{ensemble}/triples.h5", non_empty=True),
    log:
        "<results>/logs/nbody/{ensemble}/gather.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/gather.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["nbody"],
    shell:
        "exec astropipe merge {input:q} --output {output:q} --force > {log:q} 2>&1"


rule trajectories:
    input:
        JOBS.get_policy_files,
        systems="<results>/nbody/{ensemble}/systems.h5",
    output:
        ensure("<results>/nbody/{ensemble}/trajectories.h5", non_empty=True),
    log:
        "<results>/logs/nbody/{ensemble}/trajectories.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/trajectories.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_integrate_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["nbody"],
        seed=CONFIG.seed,
        settings=JOBS.get_integrate_options,
    shell:
        "exec astropipe nbody integrate {input.systems:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule evaluate:
    input:
        expand(
            "<results>/nbody/{ensemble}/triples.h5", ensemble=JOBS.catalog_ensembles()
        ),
    output:
        ensure("<results>/nbody/metrics.h5", non_empty=True),
    log:
        "<results>/logs/nbody/evaluate.log",
    benchmark:
        "<results>/benchmarks/nbody/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["nbody"],
        settings=JOBS.get_nbody_evaluate_options,
    shell:
        "exec astropipe nbody evaluate {input:q} --output {output:q} {params.settings}"
        " --threads {threads} --force > {log:q} 2>&1"


rule simulate_cluster:
    output:
        ensure("<results>/clusters/{cluster}/start.h5", non_empty=True),
    log:
        "<results>/logs/clusters/{cluster}/simulate.log",
    benchmark:
        "<results>/benchmarks/clusters/{cluster}/simulate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_cluster_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["clusters"],
        seed=CONFIG.seed,
        settings=JOBS.get_cluster_start_options,
    shell:
        "exec astropipe nbody simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule integrate_cluster:
    input:
        start="<results>/clusters/{cluster}/start.h5",
        policy=JOBS.get_cluster_policy_files,
    output:
        ensure("<results>/clusters/{cluster}/cluster.h5", non_empty=True),
    log:
        "<results>/logs/clusters/{cluster}/integrate.log",
    benchmark:
        "<results>/benchmarks/clusters/{cluster}/integrate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_cluster_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["clusters"],
        seed=CONFIG.seed,
        settings=JOBS.get_cluster_run_options,
    shell:
        "exec astropipe nbody integrate {input.start:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule evaluate_clusters:
    input:
        expand("<results>/clusters/{cluster}/cluster.h5", cluster=JOBS.clusters()),
    output:
        ensure("<results>/clusters/metrics.h5", non_empty=True),
    log:
        "<results>/logs/clusters/evaluate.log",
    benchmark:
        "<results>/benchmarks/clusters/evaluate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["clusters"],
        settings=JOBS.get_nbody_evaluate_options,
    shell:
        "exec astropipe nbody evaluate {input:q} --output {output:q} {params.settings}"
        " --threads {threads} --force > {log:q} 2>&1"


rule plot_cluster:
    input:
        "<results>/clusters/{cluster}/cluster.h5",
    output:
        report(
            "<results>/clusters/{cluster}/{figure}.png",
            caption="report/cluster.rst",
            category="1 Orbits",
            labels={"ensemble": "{cluster}", "figure": "{figure}"},
        ),
    log:
        "<results>/logs/clusters/{cluster}/plot-{figure}.log",
    benchmark:
        "<results>/benchmarks/clusters/{cluster}/plot-{figure}.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_cluster_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure cluster-{wildcards.figure} --output {output:q} > {log:q} 2>&1"


rule plot_energy_errors:
    input:
        "<results>/nbody/{ensemble}/triples.h5",
    output:
        report(
            "<results>/nbody/{ensemble}/energy-errors.png",
            caption="report/energy-errors.rst",
            category="1 Orbits",
            labels={"ensemble": "{ensemble}", "figure": "energy errors"},
        ),
    log:
        "<results>/logs/nbody/{ensemble}/plot-energy-errors.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/plot-energy-errors.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure energy-errors --output {output:q} > {log:q} 2>&1"


rule plot_outcome_map:
    input:
        "<results>/nbody/{ensemble}/systems.h5",
        "<results>/nbody/{ensemble}/triples.h5",
    output:
        report(
            "<results>/nbody/{ensemble}/outcome-map.png",
            caption="report/outcome-map.rst",
            category="1 Orbits",
            labels={"ensemble": "{ensemble}", "figure": "outcome map"},
        ),
    log:
        "<results>/logs/nbody/{ensemble}/plot-outcome-map.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/plot-outcome-map.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_simulate_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure outcome-map --output {output:q} > {log:q} 2>&1"


rule plot_orbits:
    input:
        "<results>/nbody/{ensemble}/trajectories.h5",
    output:
        report(
            "<results>/nbody/{ensemble}/orbits.png",
            caption="report/orbits.rst",
            category="1 Orbits",
            labels={"ensemble": "{ensemble}", "figure": "orbits"},
        ),
    log:
        "<results>/logs/nbody/{ensemble}/plot-orbits.log",
    benchmark:
        "<results>/benchmarks/nbody/{ensemble}/plot-orbits.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_integrate_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure orbits --output {output:q} > {log:q} 2>&1"


rule simulate_box:
    output:
        ensure("<results>/nbody/{box}/start.h5", non_empty=True),
    log:
        "<results>/logs/nbody/{box}/simulate.log",
    benchmark:
        "<results>/benchmarks/nbody/{box}/simulate.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_box_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["flow"],
        seed=CONFIG.seed,
        settings=JOBS.get_box_options,
    shell:
        "exec astropipe nbody simulate --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule run_box:
    input:
        "<results>/nbody/{box}/start.h5",
    output:
        ensure("<results>/nbody/{box}/box.h5", non_empty=True),
    log:
        "<results>/logs/nbody/{box}/run.log",
    benchmark:
        "<results>/benchmarks/nbody/{box}/run.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_box_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["flow"],
        seed=CONFIG.seed,
        settings=JOBS.get_box_run_options,
    shell:
        "exec astropipe nbody integrate {input:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --resume --force > {log:q} 2>&1"


rule measure_flow:
    input:
        "<results>/nbody/{box}/box.h5",
    output:
        ensure("<results>/nbody/{box}/flow.h5", non_empty=True),
    log:
        "<results>/logs/nbody/{box}/flow.log",
    benchmark:
        "<results>/benchmarks/nbody/{box}/flow.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_flow_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["flow"],
        seed=CONFIG.seed,
        settings=JOBS.get_flow_options,
    shell:
        "exec astropipe nbody evaluate {input:q} --output {output:q} {params.settings} --seed {params.seed}"
        " --threads {threads} --force > {log:q} 2>&1"


rule plot_box_slices:
    input:
        "<results>/nbody/{box}/box.h5",
    output:
        report(
            "<results>/nbody/{box}/box-slices.png",
            caption="report/box-slices.rst",
            category="1 Orbits",
            labels={"ensemble": "{box}", "figure": "box slices"},
        ),
    log:
        "<results>/logs/nbody/{box}/plot-box-slices.log",
    benchmark:
        "<results>/benchmarks/nbody/{box}/plot-box-slices.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_box_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure box-slices --output {output:q} > {log:q} 2>&1"


rule plot_flow_moments:
    input:
        "<results>/nbody/{box}/flow.h5",
    output:
        report(
            "<results>/nbody/{box}/flow-moments.png",
            caption="report/flow-moments.rst",
            category="1 Orbits",
            labels={"ensemble": "{box}", "figure": "flow moments"},
        ),
    log:
        "<results>/logs/nbody/{box}/plot-flow-moments.log",
    benchmark:
        "<results>/benchmarks/nbody/{box}/plot-flow-moments.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_box_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure flow-moments --output {output:q} > {log:q} 2>&1"


rule plot_flow_distributions:
    input:
        "<results>/nbody/{box}/flow.h5",
    output:
        report(
            "<results>/nbody/{box}/flow-distributions.png",
            caption="report/flow-distributions.rst",
            category="1 Orbits",
            labels={"ensemble": "{box}", "figure": "flow distributions"},
        ),
    log:
        "<results>/logs/nbody/{box}/plot-flow-distributions.log",
    benchmark:
        "<results>/benchmarks/nbody/{box}/plot-flow-distributions.tsv"
    conda:
        "envs/astropipe.yaml"
    threads: 1
    resources:
        mem_mb=JOBS.get_box_memory,
        runtime=JOBS.get_minutes,
    params:
        code=CODE["plots"],
    shell:
        "exec astropipe plot {input:q} --figure flow-distributions --output {output:q} > {log:q} 2>&1"
