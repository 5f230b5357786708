"""Shows scores and comparisons: plain text, Markdown and one HTML page."""
