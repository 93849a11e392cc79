"""Label errors: where a net that has not seen the labels contradicts them, by streaming confident learning."""
