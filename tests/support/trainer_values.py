"""Values at the edges for every argument of Lightning's Trainer, and those of them that a training takes."""

VALUES = (
    "0", "1", "-1", "2", "0.5", "1.0", "1.5", "null", "auto", "true", "false", "foo", "1000000000", ".nan", ".inf",
    "[0]", "[]", "2,", "00:00:00:01", "00:00:00:00", "warn", "norm", "simple", "ddp", "ddp_spawn", "fsdp", "deepspeed",
    "xla", "gpu", "tpu", "64-true", "16-true", "bf16-mixed", "transformer-engine", "{seconds: 0}", "{months: 1}",
)  # fmt: skip

LARGE = "1000000000"
TIMES = {"00:00:00:01"}
SHARES = {"0", "1", "2", "0.5", "1.0", "null", LARGE}
COUNTS = {"1", "2", LARGE}
FLAGS = {"true", "false"}

WORKS = {
    "accelerator": {"auto"},
    "strategy": {"auto", "ddp"},
    "devices": {"1", "2", "auto"},
    "num_nodes": {"1"},
    "precision": {"bf16-mixed", "null"},
    "logger": {"null", "[]", *FLAGS},
    "callbacks": {"null", "[]"},
    "fast_dev_run": {"0", *COUNTS, *FLAGS},
    "max_epochs": {*COUNTS, "null"},
    "min_epochs": {"0", "1", "null"},
    "max_steps": {"-1", *COUNTS},
    "min_steps": {"0", *COUNTS, "null"},
    "max_time": {"null", *TIMES},
    "limit_train_batches": SHARES - {"0"},
    "limit_val_batches": SHARES,
    "limit_test_batches": SHARES,
    "limit_predict_batches": SHARES,
    "overfit_batches": SHARES - {"null"},
    "val_check_interval": {*COUNTS, "0.5", "1.0", "null", *TIMES},
    "check_val_every_n_epoch": {*COUNTS, "null"},
    "num_sanity_val_steps": {"-1", "0", *COUNTS, "null"},
    "log_every_n_steps": {"0", *COUNTS, "null"},
    "enable_checkpointing": {"null", *FLAGS},
    "enable_progress_bar": {"null", *FLAGS},
    "enable_model_summary": {"null", *FLAGS},
    "accumulate_grad_batches": COUNTS,
    "gradient_clip_val": {"0", *COUNTS, "0.5", "1.0", "1.5", "null", ".inf"},
    "gradient_clip_algorithm": {"null"},
    "deterministic": {"null", "warn", *FLAGS},
    "benchmark": {"null", *FLAGS},
    "inference_mode": FLAGS,
    "use_distributed_sampler": FLAGS,
    "profiler": {"null", "simple"},
    "detect_anomaly": FLAGS,
    "barebones": {"false"},
    "plugins": {"null", "[]"},
    "sync_batchnorm": FLAGS,
    "reload_dataloaders_every_n_epochs": {"0", *COUNTS},
    "default_root_dir": {"null"},
    "enable_autolog_hparams": FLAGS,
    "model_registry": {"null"},
}
"""Of the values above, those that a training of one epoch on the CPU takes; all others are refused."""
