"""Two runs side by side: where each is read, what differs, what is said of it, and the page."""
