"""Importers of published weights of other projects, one family per file."""
