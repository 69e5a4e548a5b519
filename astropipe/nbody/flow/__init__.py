"""The flow of collisionless matter: a periodic particle-mesh box, and the statistics of velocities in it.

Statistics take arrays and know nothing of where the particles come from: `pair_statistics`, `friends_of_friends`,
`delaunay_density`, `fit` of the X and the logistic distribution. The box: `initial_conditions`, `Evolution`.
"""
