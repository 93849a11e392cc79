"""From images, pages and videos to files of masks."""
