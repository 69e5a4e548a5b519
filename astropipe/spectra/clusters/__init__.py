"""Observed star clusters: the stars of a simulated cluster, and those of the field around it, as a survey sees them."""
