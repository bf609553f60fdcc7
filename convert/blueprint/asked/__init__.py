"""What a text side does, asked of its graph by running it on texts and words."""
