"""Task families, one folder each: how a task trains. What the engine knows of one is `runs.Family`."""
