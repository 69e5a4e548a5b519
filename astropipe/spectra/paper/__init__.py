"""RRNet (Xiong, Li & Liao 2022, ApJS 261, 36) as published, and StarNet as they compare it: the baselines."""
