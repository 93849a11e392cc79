"""Importers of published weights of other projects, a family a file."""
