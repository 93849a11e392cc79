"""predict: from images, pages and videos to files of label maps."""
