"""What is known of one listener: plays, feedback, live events."""
