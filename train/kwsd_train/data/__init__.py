"""Reading of recordings from disk, and creation of training examples from recordings."""
