"""Star clusters: stars under their mutual gravity, and massless particles that feel them.

Inputs: `make_cluster` from settings, `cluster_of` from arrays. Integration: `integrate_cluster`; a
`ClusterIntegration` can pause, be saved and go on. What a cluster looks like: `astropipe.nbody.clusters.diagnostics`.
"""

from astropipe.nbody.clusters.accuracy import EtaPolicy, shipped_eta_policy
from astropipe.nbody.clusters.initial import Cluster, make_cluster
from astropipe.nbody.clusters.integration import (
    ClusterIntegration,
    ClusterOptions,
    ClusterResult,
    cluster_of,
    integrate_cluster,
)
from astropipe.nbody.clusters.run import Controls
from astropipe.nbody.clusters.tides import oort_tide, point_mass_tide

__all__ = [
    "Cluster",
    "ClusterIntegration",
    "ClusterOptions",
    "ClusterResult",
    "Controls",
    "EtaPolicy",
    "cluster_of",
    "integrate_cluster",
    "make_cluster",
    "oort_tide",
    "point_mass_tide",
    "shipped_eta_policy",
]
