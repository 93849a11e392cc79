"""Sweeps: many trainings of one recipe with other numbers, on this machine or on a cluster."""
