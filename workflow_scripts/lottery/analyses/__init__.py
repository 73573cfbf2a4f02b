"""Analyses of trained tickets, one file each: modules with the names of `analysis.Analysis`."""
