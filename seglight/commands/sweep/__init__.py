"""`sweep`: many trainings over a search space of recipes."""
