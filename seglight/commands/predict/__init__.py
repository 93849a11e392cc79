"""`predict`: label maps of images, pages and videos, written to files."""
