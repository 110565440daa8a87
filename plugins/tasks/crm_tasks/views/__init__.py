"""Pages of this plugin's own."""
