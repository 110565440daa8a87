"""Who may do what, and how the application is sure who asks."""
