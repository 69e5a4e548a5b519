# The whole workflow at a glance: which catalogs, which figures. The rules stand in workflows/, one file a stage.
#
#   snakemake --cores all                              everything, into results/
#   snakemake --configfile my.yaml --cores all         with settings of your own (workflows/config/default.yaml has all keys)
#   snakemake --profile profiles/slurm                 the same on a cluster
#   snakemake --cores all train_spectra                the emulator of spectra again, in hours; never part of the others
from snakemake.utils import min_version

from astropipe.config import resolve
from astropipe.config.jobs import Jobs, check_files

min_version("9.19")

check_files(workflow.configfiles)
CONFIG = resolve(config, "the configuration of the workflow")
JOBS = Jobs(CONFIG)


report: "workflows/report/workflow.rst"


pathvars:
    results=JOBS.results,


module nbody:
    snakefile:
        "workflows/nbody.smk"
    config:
        config


module spectra:
    snakefile:
        "workflows/spectra.smk"
    config:
        config


module grid:
    snakefile:
        "workflows/grid.smk"
    config:
        config


module morphology:
    snakefile:
        "workflows/morphology.smk"
    config:
        config


module inference:
    snakefile:
        "workflows/inference.smk"
    config:
        config


module closure_stars:
    snakefile:
        "workflows/closure_stars.smk"
    config:
        config


module closure_galaxies:
    snakefile:
        "workflows/closure_galaxies.smk"
    config:
        config


use rule * from nbody as nbody_*


use rule * from spectra as spectra_*


use rule * from grid as grid_*


use rule * from morphology as morphology_*


use rule * from inference as inference_*


use rule * from closure_stars as closure_stars_*


use rule * from closure_galaxies as closure_galaxies_*


rule all:
    default_target: True
    input:
        rules.nbody_all.input,
        rules.spectra_all.input,
        rules.morphology_all.input,
        rules.inference_all.input,
        rules.closure_stars_all.input,
        rules.closure_galaxies_all.input,


# The emulator that comes with astropipe, made again from the beginning. Hours; nothing else asks for it.
rule train_spectra:
    input:
        rules.grid_all.input,
