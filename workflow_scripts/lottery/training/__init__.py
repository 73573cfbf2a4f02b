"""What families share that train: checkpoints, progress, masks enforced, torch modules, several processes."""
