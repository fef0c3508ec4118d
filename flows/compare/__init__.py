"""Two runs side by side: where each is read, what differs, and one module for each section of the page."""
