"""sweep: many trainings over a space of recipes."""
