"""What every stage needs and no stage owns: errors, seeds, threads, progress, interruption."""
