"""The pipeline of Fang et al. 2025 (A&A 693, A141; arXiv 2501.00380) as their published code has it: the baseline.

Written from the behaviour of the code that the authors published as USmorph and USmorph_2.0, its defects included:
each module says which they are. What astropipe does itself is elsewhere in `astropipe.morphology`.
"""
