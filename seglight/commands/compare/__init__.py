"""`compare`: differences between trainings or nets on one split, with intervals and verdicts."""
