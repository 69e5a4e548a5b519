"""Star clusters: masses, sizes and membership from positions, velocities and metallicities of their stars."""
