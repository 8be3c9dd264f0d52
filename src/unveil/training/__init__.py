"""The loop, and what it needs: settings, step, optimiser, checkpoints, memory."""
